import org.flywaydb.core.Flyway;

/** Flyway by its API: FlywayTool up|repair FOLDER. TOOL_* say where to (../README.md). */
public final class FlywayTool {
    public static void main(String[] arguments) {
        var flyway = Flyway.configure()
                .dataSource(Address.url(), Address.get("USER"), Address.get("PASSWORD"))
                .locations("filesystem:" + arguments[1])
                .baselineOnMigrate(true) // other tables live here, too
                .baselineVersion("0")
                .load();
        switch (arguments[0]) {
            case "up" -> flyway.migrate();
            case "repair" -> flyway.repair();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }
}
