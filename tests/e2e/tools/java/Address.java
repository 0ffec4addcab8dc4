/** Where to, from the environment. */
final class Address {
    static String get(String name) {
        return System.getenv("TOOL_" + name);
    }

    /** information_schema has MySQL's names of the databases (vt_commerce), by which Liquibase would not find its tables. */
    static String url() {
        return "jdbc:mysql://" + get("HOST") + ":" + get("PORT") + "/" + get("DATABASE")
                + "?sslMode=DISABLED&useInformationSchema=false";
    }

    private Address() {}
}
