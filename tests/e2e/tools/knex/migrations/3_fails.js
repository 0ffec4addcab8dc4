exports.up = (knex) => knex.schema.alterTable('@TABLE@', (table) => table.string('note', 100));

exports.down = (knex) => knex.schema.alterTable('@TABLE@', (table) => table.dropColumn('note'));
