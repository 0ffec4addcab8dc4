exports.up = async (knex) => {
  await knex.schema.createTable('@TABLE@', (table) => {
    table.bigint('id').notNullable().primary();
    table.string('name', 64).notNullable();
  });
  await knex('@TABLE@').insert([1, 2, 3].map((id) => ({ id, name: `item ${id}` })));
};

exports.down = (knex) => knex.schema.dropTable('@TABLE@');
