import os

from alembic import context
from sqlalchemy import URL, create_engine

address = URL.create("mysql+pymysql", os.environ["TOOL_USER"], os.environ["TOOL_PASSWORD"], os.environ["TOOL_HOST"],
                     int(os.environ["TOOL_PORT"]), os.environ["TOOL_DATABASE"])
with create_engine(address).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
