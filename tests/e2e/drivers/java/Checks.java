import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** The driver checks (see ../README.md) for JDBC drivers: connector-j, mariadb-connector-j. */
public final class Checks {
    private static final String DATABASE = System.getenv("DRIVER_DATABASE");
    private static final String TABLE = "`" + System.getenv("DRIVER_TABLE") + "`";
    private static final String ROWS = "`" + System.getenv("DRIVER_ROWS") + "`";
    private static final String PASSWORD = System.getenv("DRIVER_PASSWORD");
    private static final String CA = System.getenv().getOrDefault("DRIVER_CA", "");
    private static final List<String> SHARDS = List.of(System.getenv("DRIVER_SHARDS").split(","));

    private static final String COLUMNS = "id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, "
            + "t datetime(6), s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4";
    private static final String UNICODE = "zażółć 日本語 🐬";
    private static final String BIG_TEXT = "0123456789 é日🐬".repeat(50_000);
    private static final byte[] BIG_BLOB = new byte[256 * 4096];

    static {
        for (int i = 0; i < BIG_BLOB.length; i++) {
            BIG_BLOB[i] = (byte) i;
        }
    }

    /** The driver has no such thing. */
    private static final class Unsupported extends Exception {
        private static final long serialVersionUID = 1;

        Unsupported(String why) {
            super(why);
        }
    }

    private interface Check {
        /** Returns the detail, or null. */
        String run(Connection connection) throws Exception;
    }

    private interface Action {
        void run() throws SQLException;
    }

    private final boolean mariadb;
    private final Path trustStore;

    private Checks(String driver) throws Exception {
        mariadb = driver.equals("mariadb-connector-j");
        trustStore = CA.isEmpty() || mariadb ? null : trustStore();
    }

    public static void main(String[] arguments) throws Exception {
        Checks checks = new Checks(arguments[0]);
        try {
            checks.run();
        } finally {
            if (checks.trustStore != null) {
                Files.delete(checks.trustStore);
            }
        }
    }

    private void run() throws Exception {
        Map<String, Check> all = new LinkedHashMap<>();
        all.put("login", this::login);
        all.put("wrong_password", this::wrongPassword);
        all.put("ping", this::ping);
        all.put("create", this::create);
        all.put("text", this::text);
        all.put("big", this::big);
        all.put("prepared", this::prepared);
        all.put("prepared_big", this::preparedBig);
        all.put("rows", this::rows);
        all.put("prepared_rows", this::preparedRows);
        all.put("multi", this::multi);
        all.put("multi_error", this::multiError);
        all.put("transaction", this::transaction);
        all.put("error", this::error);
        all.put("reset", this::reset);
        all.put("change_user", this::changeUser);
        all.put("ddl_text", this::ddlText);
        all.put("ddl_prepared", this::ddlPrepared);
        all.put("drop", this::drop);
        report("version", "true", version());
        for (Map.Entry<String, Check> check : all.entrySet()) {
            try (Connection connection = open(PASSWORD)) {
                String detail = check.getValue().run(connection);
                report(check.getKey(), "true", detail == null ? "" : detail);
            } catch (Unsupported why) {
                report(check.getKey(), "null", why.getMessage());
            } catch (Exception | AssertionError failure) {
                report(check.getKey(), "false", failure.toString());
                if (check.getKey().equals("login")) {
                    return;
                }
            }
        }
    }

    // Connecting.

    private Connection open(String password) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("DRIVER_USER"));
        properties.setProperty("password", password);
        properties.setProperty("allowMultiQueries", "true");
        properties.setProperty("useServerPrepStmts", "true");
        properties.setProperty("sslMode", CA.isEmpty() ? "DISABLED" : mariadb ? "verify-full" : "VERIFY_IDENTITY");
        if (mariadb && !CA.isEmpty()) {
            properties.setProperty("serverSslCert", CA);
        } else if (mariadb) {
            properties.setProperty("sslMode", "disable");
        } else if (trustStore != null) {
            properties.setProperty("trustCertificateKeyStoreUrl", trustStore.toUri().toString());
            properties.setProperty("trustCertificateKeyStoreType", "PKCS12");
            properties.setProperty("trustCertificateKeyStorePassword", "changeit");
        }
        if (!mariadb) {
            // Times are compared as they are written.
            properties.setProperty("connectionTimeZone", "SERVER");
        }
        return DriverManager.getConnection(String.format("jdbc:%s://%s:%s/%s", mariadb ? "mariadb" : "mysql",
                System.getenv("DRIVER_HOST"), System.getenv("DRIVER_PORT"), DATABASE), properties);
    }

    /** Connector/J wants the CA in a key store. */
    private static Path trustStore() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(Path.of(CA))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        Path file = Files.createTempFile("driver-checks", ".p12");
        try (var out = Files.newOutputStream(file)) {
            store.store(out, "changeit".toCharArray());
        }
        return file;
    }

    private String version() {
        String name = DriverManager.drivers().map(driver -> driver.getClass())
                .filter(type -> type.getName().contains("mariadb") == mariadb)
                .map(type -> Path.of(type.getProtectionDomain().getCodeSource().getLocation().getPath()))
                .map(jar -> jar.getFileName().toString()).findFirst().orElseThrow();
        return name.replaceAll(".*-([0-9.]+)\\.jar", "$1");
    }

    // Helpers.

    private static void report(String check, String ok, String detail) {
        String text = detail.length() > 300 ? detail.substring(0, 300) : detail;
        StringBuilder escaped = new StringBuilder();
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                escaped.append('\\').append(c);
            } else if (c < ' ') {
                escaped.append(String.format("\\u%04x", (int) c));
            } else {
                escaped.append(c);
            }
        }
        byte[] line = String.format("{\"check\": \"%s\", \"ok\": %s, \"detail\": \"%s\"}%n", check, ok, escaped)
                .getBytes(StandardCharsets.UTF_8);
        System.out.write(line, 0, line.length);
        System.out.flush();
    }

    private static void same(Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new AssertionError(found + " instead of " + expected);
        }
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static void executePrepared(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.execute();
        }
    }

    /** All values as text; NULL as "NULL". */
    private static List<List<String>> read(ResultSet result) throws SQLException {
        List<List<String>> rows = new ArrayList<>();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                String value = result.getString(i);
                row.add(value == null ? "NULL" : value);
            }
            rows.add(row);
        }
        return rows;
    }

    private static List<List<String>> query(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            return read(result);
        }
    }

    private static String value(Connection connection, String sql) throws SQLException {
        return query(connection, sql).get(0).get(0);
    }

    /** The code of the error that it must give. */
    private static String refused(Action attempt) {
        try {
            attempt.run();
        } catch (SQLException error) {
            return error.getErrorCode() + "/" + error.getSQLState();
        }
        throw new AssertionError("it was not refused");
    }

    /** The first column of the answer of each shard. */
    private static List<List<String>> onShards(Connection connection, String sql) throws SQLException {
        List<List<String>> answers = new ArrayList<>();
        for (String shard : SHARDS) {
            execute(connection, "USE `" + shard + "`");
            answers.add(query(connection, sql).stream().map(row -> row.get(0)).toList());
        }
        execute(connection, "USE `" + DATABASE + "`");
        return answers;
    }

    private static void columnIsThere(Connection connection, String column, boolean expected) throws SQLException {
        List<List<String>> found = onShards(connection, "SHOW COLUMNS FROM " + TABLE);
        if (!found.stream().allMatch(names -> names.contains(column) == expected)) {
            throw new AssertionError(column + ": shards have " + found);
        }
    }

    private static void allRows(ResultSet result) throws SQLException {
        int count = 0;
        while (result.next()) {
            count++;
            long n = result.getLong(3);
            boolean right = result.wasNull() ? count % 2 == 0 : n == count && count % 2 == 1;
            if (!right || result.getLong(1) != count || !result.getString(2).equals("row " + count)) {
                throw new AssertionError("row " + count + " is another one");
            }
        }
        same(count, 10_000);
    }

    // The checks.

    private String login(Connection connection) throws SQLException {
        same(value(connection, "SELECT DATABASE()"), DATABASE);
        return null;
    }

    private String wrongPassword(Connection unused) {
        String code = refused(() -> open(PASSWORD + "x").close());
        same(code.startsWith("1045"), true);
        return code;
    }

    private String ping(Connection connection) throws SQLException {
        same(connection.isValid(10), true);
        return null;
    }

    private String create(Connection connection) throws SQLException {
        execute(connection, "CREATE TABLE " + TABLE + " (" + COLUMNS + ")");
        columnIsThere(connection, "x", true);
        return null;
    }

    private String text(Connection connection) throws SQLException {
        same(query(connection, "SELECT NULL, '', '" + UNICODE + "', -9223372036854775808, NULL, 1.50"),
                List.of(List.of("NULL", "", UNICODE, String.valueOf(Long.MIN_VALUE), "NULL", "1.50")));
        return null;
    }

    private String big(Connection connection) throws SQLException {
        execute(connection, "INSERT INTO " + TABLE + " (id, x) VALUES (1, '" + BIG_TEXT + "')");
        String found = value(connection, "SELECT x FROM " + TABLE + " WHERE id = 1");
        same(found.equals(BIG_TEXT) ? "it" : found.length() + " characters, or others", "it");
        return null;
    }

    private String prepared(Connection connection) throws SQLException {
        byte[] blob = {0, -1, '\'', '\\'};
        LocalDateTime moment = LocalDateTime.of(2024, 2, 29, 23, 59, 58, 123_456_000);
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO " + TABLE
                + " (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
                PreparedStatement select = connection.prepareStatement("SELECT id, i, d, f, t, s, b, x FROM " + TABLE
                        + " WHERE id = ?")) {
            insert.setLong(1, 2);
            insert.setInt(2, -7);
            insert.setBigDecimal(3, new BigDecimal("1234567890.1234"));
            insert.setDouble(4, 2.5);
            insert.setObject(5, moment);
            insert.setString(6, UNICODE);
            insert.setBytes(7, blob);
            insert.setString(8, "");
            insert.executeUpdate();
            insert.setLong(1, 3);
            int[] types = {Types.INTEGER, Types.DECIMAL, Types.DOUBLE, Types.TIMESTAMP, Types.VARCHAR, Types.BLOB,
                Types.VARCHAR};
            for (int i = 0; i < types.length; i++) {
                insert.setNull(2 + i, types[i]);
            }
            insert.executeUpdate();
            select.setLong(1, 2);
            try (ResultSet row = select.executeQuery()) {
                same(row.next(), true);
                same(List.of(row.getLong(1), row.getInt(2), row.getBigDecimal(3), row.getDouble(4),
                        row.getObject(5, LocalDateTime.class), row.getString(6), Arrays.toString(row.getBytes(7)),
                        row.getString(8)),
                        List.of(2L, -7, new BigDecimal("1234567890.1234"), 2.5, moment, UNICODE, Arrays.toString(blob),
                                ""));
            }
            select.setLong(1, 3);
            try (ResultSet result = select.executeQuery()) {
                same(read(result), List.of(List.of("3", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL")));
            }
        }
        return null;
    }

    private String preparedBig(Connection connection) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO " + TABLE + " (id, b) VALUES (?, ?)");
                PreparedStatement select = connection.prepareStatement("SELECT b FROM " + TABLE + " WHERE id = ?")) {
            insert.setLong(1, 4);
            insert.setBytes(2, BIG_BLOB);
            insert.executeUpdate();
            select.setLong(1, 4);
            try (ResultSet result = select.executeQuery()) {
                result.next();
                same(Arrays.equals(result.getBytes(1), BIG_BLOB), true);
            }
        }
        return null;
    }

    private String rows(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT id, s, n FROM " + ROWS + " ORDER BY id")) {
            allRows(result);
        }
        return null;
    }

    private String preparedRows(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(
                "SELECT id, s, n FROM " + ROWS + " WHERE id > ? ORDER BY id")) {
            statement.setLong(1, 0);
            try (ResultSet result = statement.executeQuery()) {
                allRows(result);
            }
        }
        return null;
    }

    private String multi(Connection connection) throws SQLException {
        List<List<List<String>>> found = new ArrayList<>();
        try (Statement statement = connection.createStatement()) {
            boolean hasRows = statement.execute(
                    "SELECT 1; SELECT 'two', NULL; DELETE FROM " + TABLE + " WHERE id = -1; SELECT 4");
            while (hasRows || statement.getUpdateCount() != -1) {
                found.add(hasRows ? read(statement.getResultSet()) : List.of());
                hasRows = statement.getMoreResults();
            }
        }
        same(found, List.of(List.of(List.of("1")), List.of(List.of("two", "NULL")), List.of(),
                List.of(List.of("4"))));
        return null;
    }

    /** Whether the error comes at once or with the second result is up to the driver. */
    private String multiError(Connection connection) throws SQLException {
        String code;
        try (Statement statement = connection.createStatement()) {
            code = refused(() -> {
                statement.execute("SELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3");
                same(read(statement.getResultSet()), List.of(List.of("1")));
                statement.getMoreResults();
            });
        }
        same(value(connection, "SELECT 5"), "5");
        return code;
    }

    private String transaction(Connection connection) throws SQLException {
        try (Connection other = open(PASSWORD)) {
            connection.setAutoCommit(false);
            for (String key : List.of("10", "11")) {
                String count = "SELECT count(*) FROM " + TABLE + " WHERE id = " + key;
                execute(connection, "INSERT INTO " + TABLE + " (id, i) VALUES (" + key + ", 1)");
                same(value(other, count), "0");
                if (key.equals("10")) {
                    connection.rollback();
                } else {
                    connection.commit();
                }
                same(value(other, count), key.equals("10") ? "0" : "1");
            }
            connection.setAutoCommit(true);
        }
        return null;
    }

    private String error(Connection connection) throws SQLException {
        String insert = "INSERT INTO " + TABLE + " (id) VALUES (20)";
        List<String> codes = new ArrayList<>();
        execute(connection, insert);
        for (String sql : List.of("SELEKT 1", insert, "SELECT 1 FROM no_such_table_at_all")) {
            codes.add(refused(() -> execute(connection, sql)));
            same(value(connection, "SELECT 1"), "1");
        }
        return String.join(" ", codes);
    }

    private String reset(Connection connection) throws Exception {
        execute(connection, "SET @mine = 5");
        execute(connection, "BEGIN");
        execute(connection, "INSERT INTO " + TABLE + " (id) VALUES (30)");
        if (mariadb) {
            connection.unwrap(org.mariadb.jdbc.Connection.class).reset();
        } else {
            connection.unwrap(com.mysql.cj.jdbc.JdbcConnection.class).resetServerState();
        }
        same(value(connection, "SELECT count(*) FROM " + TABLE + " WHERE id = 30"), "0");
        return value(connection, "SELECT @mine").equals("NULL") ? "user variables end" : "user variables stay";
    }

    private String changeUser(Connection connection) throws Exception {
        if (mariadb) {
            throw new Unsupported("no change of user");
        }
        execute(connection, "SET @mine = 5");
        connection.unwrap(com.mysql.cj.jdbc.JdbcConnection.class).changeUser(System.getenv("DRIVER_USER"), PASSWORD);
        same(query(connection, "SELECT @mine, DATABASE()"), List.of(List.of("NULL", DATABASE)));
        return null;
    }

    private String ddlText(Connection connection) throws SQLException {
        execute(connection, "ALTER TABLE " + TABLE + " ADD COLUMN by_text int");
        columnIsThere(connection, "by_text", true);
        execute(connection, "ALTER TABLE " + TABLE + " DROP COLUMN by_text");
        columnIsThere(connection, "by_text", false);
        return null;
    }

    private String ddlPrepared(Connection connection) throws SQLException {
        executePrepared(connection, "ALTER TABLE " + TABLE + " ADD COLUMN by_prepared int");
        columnIsThere(connection, "by_prepared", true);
        executePrepared(connection, "ALTER TABLE " + TABLE + " DROP COLUMN by_prepared");
        columnIsThere(connection, "by_prepared", false);
        return null;
    }

    private String drop(Connection connection) throws SQLException {
        execute(connection, "DROP TABLE " + TABLE);
        List<List<String>> found = onShards(connection, "SHOW TABLES LIKE '" + System.getenv("DRIVER_TABLE") + "'");
        same(found.stream().allMatch(List::isEmpty), true);
        return null;
    }
}
