/** Where to, from the environment. */
final class Address {
    static String get(String name) {
        return System.getenv("TOOL_" + name);
    }

    static String url() {
        return "jdbc:mysql://" + get("HOST") + ":" + get("PORT") + "/" + get("DATABASE") + "?sslMode=DISABLED";
    }

    private Address() {}
}
