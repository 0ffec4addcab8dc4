// TOOL_* say where to (../README.md).
const { TOOL_HOST, TOOL_PORT, TOOL_USER, TOOL_PASSWORD, TOOL_DATABASE } = process.env;

module.exports = {
  client: 'mysql2',
  connection: {
    host: TOOL_HOST, port: Number(TOOL_PORT), user: TOOL_USER, password: TOOL_PASSWORD, database: TOOL_DATABASE,
  },
};
