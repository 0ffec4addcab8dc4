import java.nio.file.Path;
import java.sql.DriverManager;
import liquibase.Contexts;
import liquibase.LabelExpression;
import liquibase.Liquibase;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.DirectoryResourceAccessor;

/** Liquibase by its API: LiquibaseTool up|down|unlock FOLDER. TOOL_* say where to (../README.md). */
public final class LiquibaseTool {
    public static void main(String[] arguments) throws Exception {
        try (var connection = DriverManager.getConnection(Address.url(), Address.get("USER"), Address.get("PASSWORD"))) {
            var database = DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connection));
            var files = new DirectoryResourceAccessor(Path.of(arguments[1]));
            var liquibase = new Liquibase("changelog.yaml", files, database);
            switch (arguments[0]) {
                case "up" -> liquibase.update(new Contexts(), new LabelExpression());
                case "down" -> liquibase.rollback(1, "");
                case "unlock" -> liquibase.forceReleaseLocks();
                default -> throw new IllegalArgumentException(arguments[0]);
            }
        }
    }
}
