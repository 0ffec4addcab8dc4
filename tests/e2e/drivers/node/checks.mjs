// The driver checks (see ../README.md) for node's drivers: mysql2, mariadb.
import assert from 'node:assert/strict';
import fs from 'node:fs';

const env = process.env;
const database = env.DRIVER_DATABASE;
const table = '`' + env.DRIVER_TABLE + '`';
const shards = env.DRIVER_SHARDS.split(',');
const columns = 'id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), ' +
  's varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4';
const unicode = 'zażółć 日本語 🐬';
const bigText = '0123456789 é日🐬'.repeat(50_000);
const bigBlob = Buffer.concat(Array(4096).fill(Buffer.from(Array.from({ length: 256 }, (_, i) => i))));

class Unsupported extends Error {}

// Both return rows as arrays; numbers that are too large for a double come as strings.
const common = {
  host: env.DRIVER_HOST, port: Number(env.DRIVER_PORT), user: env.DRIVER_USER, password: env.DRIVER_PASSWORD, database,
  multipleStatements: true, rowsAsArray: true, dateStrings: true, timezone: 'Z',
};
if (env.DRIVER_CA) common.ssl = { ca: fs.readFileSync(env.DRIVER_CA), rejectUnauthorized: true };

const drivers = {
  mysql2: {
    open: async (module, change) => module.createConnection(
      { ...common, supportBigNumbers: true, charset: 'utf8mb4', ...change }),
    query: async (connection, sql) => (await connection.query(sql))[0],
    execute: async (connection, sql, values) => (await connection.execute(sql, values))[0],
  },
  mariadb: {
    open: async (module, change) => module.createConnection(
      { ...common, bigIntAsNumber: true, supportBigNumbers: true, ...change }),
    query: async (connection, sql) => connection.query(sql),
    execute: async (connection, sql, values) => connection.execute(sql, values),
  },
};

const name = process.argv[2];
const driver = drivers[name];
const module = await import(name === 'mysql2' ? 'mysql2/promise' : name);
const open = async (change = {}) => driver.open(module, change);
const query = driver.query;
const execute = driver.execute;

// The code of the error that it must give.
async function refused(attempt) {
  try {
    await attempt();
  } catch (error) {
    if (!error.errno) throw error;
    return `${error.errno}/${error.sqlState}`;
  }
  throw new Error('it was not refused');
}

// The first column of the answer of each shard.
async function onShards(connection, sql) {
  const answers = [];
  for (const shard of shards) {
    await query(connection, `USE \`${shard}\``);
    answers.push((await query(connection, sql)).map((row) => row[0]));
  }
  await query(connection, `USE \`${database}\``);
  return answers;
}

async function columnIsThere(connection, column, expected) {
  const found = await onShards(connection, `SHOW COLUMNS FROM ${table}`);
  assert(found.every((names) => names.includes(column) === expected),
    `${column}: shards have ${JSON.stringify(found)}`);
}

async function alter(connection, run, column) {
  await run(connection, `ALTER TABLE ${table} ADD COLUMN ${column} int`);
  await columnIsThere(connection, column, true);
  await run(connection, `ALTER TABLE ${table} DROP COLUMN ${column}`);
  await columnIsThere(connection, column, false);
}

function allRows(rows) {
  assert.equal(rows.length, 10_000);
  rows.forEach(([id, s, n], at) => {
    const key = at + 1;
    assert.deepEqual([Number(id), s, n], [key, `row ${key}`, key % 2 ? key : null]);
  });
}

// A result of several statements: rows of those that have any.
const rowsOf = (results) => results.filter(Array.isArray);

const checks = {
  async login(connection) {
    assert.deepEqual(await query(connection, 'SELECT DATABASE()'), [[database]]);
  },

  async wrong_password() {
    const code = await refused(async () => (await open({ password: env.DRIVER_PASSWORD + 'x' })).end());
    assert.match(code, /^1045/);
    return code;
  },

  async ping(connection) {
    await connection.ping();
  },

  async create(connection) {
    await query(connection, `CREATE TABLE ${table} (${columns})`);
    await columnIsThere(connection, 'x', true);
  },

  async text(connection) {
    const [row] = await query(connection, `SELECT NULL, '', '${unicode}', -9223372036854775807, NULL, 1.50`);
    assert.deepEqual(row.map((value) => value === null ? null : String(value)),
      [null, '', unicode, '-9223372036854775807', null, '1.50']);
  },

  async big(connection) {
    await query(connection, `INSERT INTO ${table} (id, x) VALUES (1, '${bigText}')`);
    const [[value]] = await query(connection, `SELECT x FROM ${table} WHERE id = 1`);
    assert(value === bigText, `${value.length} characters came back, or others`);
  },

  async prepared(connection) {
    const insert = `INSERT INTO ${table} (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
    const select = `SELECT id, i, d, f, t, s, b, x FROM ${table} WHERE id = ?`;
    const blob = Buffer.from([0, 255, 39, 92]);
    const moment = new Date('2024-02-29T23:59:58.123Z');
    await execute(connection, insert, [2, -7, '1234567890.1234', 2.5, moment, unicode, blob, '']);
    const [row] = await execute(connection, select, [2]);
    assert.deepEqual(row.map((value) => Buffer.isBuffer(value) ? value.toString('hex') : String(value)),
      ['2', '-7', '1234567890.1234', '2.5', '2024-02-29 23:59:58.123000', unicode, blob.toString('hex'), '']);
    await execute(connection, insert, [3, null, null, null, null, null, null, null]);
    const [nulls] = await execute(connection, select, [3]);
    assert.deepEqual(nulls.slice(1), Array(7).fill(null));
  },

  async prepared_big(connection) {
    await execute(connection, `INSERT INTO ${table} (id, b) VALUES (?, ?)`, [4, bigBlob]);
    const [[value]] = await execute(connection, `SELECT b FROM ${table} WHERE id = ?`, [4]);
    assert(bigBlob.equals(value), `${value.length} bytes came back, or others`);
  },

  async rows(connection) {
    allRows(await query(connection, `SELECT id, s, n FROM \`${env.DRIVER_ROWS}\` ORDER BY id`));
  },

  async prepared_rows(connection) {
    allRows(await execute(connection, `SELECT id, s, n FROM \`${env.DRIVER_ROWS}\` WHERE id > ? ORDER BY id`, [0]));
  },

  async multi(connection) {
    const results = await query(connection,
      `SELECT 1; SELECT 'two', NULL; DELETE FROM ${table} WHERE id = -1; SELECT 4`);
    assert.equal(results.length, 4);
    const text = rowsOf(results).map((rows) => rows.map((row) => row.map(String)));
    assert.deepEqual(text, [[['1']], [['two', 'null']], [['4']]]);
  },

  // The promise of either is refused as a whole: the first result cannot be seen.
  async multi_error(connection) {
    const code = await refused(() => query(connection, 'SELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3'));
    const [[five]] = await query(connection, 'SELECT 5');
    assert.equal(Number(five), 5);
    return code;
  },

  async transaction(connection) {
    const other = await open();
    try {
      for (const [key, end, seen] of [[10, 'rollback', 0], [11, 'commit', 1]]) {
        const count = async () => Number((await query(other, `SELECT count(*) FROM ${table} WHERE id = ${key}`))[0][0]);
        await connection.beginTransaction();
        await query(connection, `INSERT INTO ${table} (id, i) VALUES (${key}, 1)`);
        assert.equal(await count(), 0);
        await connection[end]();
        assert.equal(await count(), seen);
      }
    } finally {
      await other.end();
    }
  },

  async error(connection) {
    const insert = `INSERT INTO ${table} (id) VALUES (20)`;
    const codes = [];
    await query(connection, insert);
    for (const sql of ['SELEKT 1', insert, 'SELECT 1 FROM no_such_table_at_all']) {
      codes.push(await refused(() => query(connection, sql)));
      assert.equal(Number((await query(connection, 'SELECT 1'))[0][0]), 1);
    }
    return codes.join(' ');
  },

  async reset(connection) {
    await query(connection, 'SET @mine = 5');
    await query(connection, 'BEGIN');
    await query(connection, `INSERT INTO ${table} (id) VALUES (30)`);
    await connection.reset();
    const [[count]] = await query(connection, `SELECT count(*) FROM ${table} WHERE id = 30`);
    assert.equal(Number(count), 0);
    const [[mine]] = await query(connection, 'SELECT @mine');
    return mine === null ? 'user variables end' : 'user variables stay';
  },

  async change_user(connection) {
    await query(connection, 'SET @mine = 5');
    if (name === 'mariadb') throw new Unsupported('only with a MariaDB server');
    await connection.changeUser({ user: env.DRIVER_USER, password: env.DRIVER_PASSWORD, database });
    assert.deepEqual(await query(connection, 'SELECT @mine, DATABASE()'), [[null, database]]);
  },

  async ddl_text(connection) {
    await alter(connection, query, 'by_text');
  },

  async ddl_prepared(connection) {
    await alter(connection, execute, 'by_prepared');
  },

  async drop(connection) {
    await query(connection, `DROP TABLE ${table}`);
    const found = await onShards(connection, `SHOW TABLES LIKE '${env.DRIVER_TABLE}'`);
    assert(found.every((names) => names.length === 0), JSON.stringify(found));
  },
};

const report = (check, ok, detail) =>
  console.log(JSON.stringify({ check, ok, detail: String(detail ?? '').slice(0, 300) }));

const manifest = JSON.parse(fs.readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
report('version', true, manifest.version);
for (const [check, run] of Object.entries(checks)) {
  let connection;
  try {
    connection = await open();
    report(check, true, await run(connection));
  } catch (error) {
    report(check, error instanceof Unsupported ? null : false, error.message || error);
    if (check === 'login') break;
  } finally {
    await connection?.end().catch(() => connection.destroy());
  }
}
