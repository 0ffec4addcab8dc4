# Rails' migrations without the rest of Rails: migrate.rb up|down FOLDER. TOOL_* say where to (../README.md).
require "active_record"
require "logger"

ActiveRecord::Base.logger = Logger.new($stderr)
ActiveRecord::Base.establish_connection(
  adapter: "mysql2", host: ENV["TOOL_HOST"], port: ENV["TOOL_PORT"].to_i, username: ENV["TOOL_USER"],
  password: ENV["TOOL_PASSWORD"], database: ENV["TOOL_DATABASE"]
)
migrations = ActiveRecord::MigrationContext.new(ARGV[1], ActiveRecord::SchemaMigration)
ARGV[0] == "up" ? migrations.migrate : migrations.rollback(1)
