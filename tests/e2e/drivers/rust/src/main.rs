//! The driver checks (see ../README.md) for sqlx.

use chrono::NaiveDate;
use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, Connection, Either, Executor, Row};
use std::env;
use std::error::Error;

type Outcome = Result<String, Box<dyn Error>>;

const COLUMNS: &str = "id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), \
    s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4";
const UNICODE: &str = "zażółć 日本語 🐬";
const CHECKS: [&str; 19] = [
    "login",
    "wrong_password",
    "ping",
    "create",
    "text",
    "big",
    "prepared",
    "prepared_big",
    "rows",
    "prepared_rows",
    "multi",
    "multi_error",
    "transaction",
    "error",
    "reset",
    "change_user",
    "ddl_text",
    "ddl_prepared",
    "drop",
];

struct Place {
    database: String,
    table: String,
    rows: String,
    shards: Vec<String>,
    password: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let place = Place {
        database: setting("DRIVER_DATABASE"),
        table: setting("DRIVER_TABLE"),
        rows: setting("DRIVER_ROWS"),
        shards: setting("DRIVER_SHARDS").split(',').map(String::from).collect(),
        password: setting("DRIVER_PASSWORD"),
    };
    report("version", Some(true), version());
    for check in CHECKS {
        match place.run(check).await {
            Ok(detail) if detail.starts_with("no ") => report(check, None, &detail),
            Ok(detail) => report(check, Some(true), &detail),
            Err(failure) => {
                report(check, Some(false), &failure.to_string());
                if check == "login" {
                    return;
                }
            }
        }
    }
}

fn version() -> &'static str {
    let entry = include_str!("../Cargo.lock").split("name = \"sqlx\"\nversion = \"").nth(1);
    entry.and_then(|rest| rest.split('"').next()).unwrap_or("unknown")
}

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn report(check: &str, ok: Option<bool>, detail: &str) {
    let short: String = detail.chars().take(300).collect();
    println!("{}", serde_json::json!({"check": check, "ok": ok, "detail": short}));
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Box<dyn Error>> {
    if found == expected {
        return Ok(());
    }
    let text: String = format!("{found:?} instead of {expected:?}").chars().take(250).collect();
    Err(text.into())
}

/// The code of the error that it must be.
fn refused<T>(result: Result<T, sqlx::Error>) -> Outcome {
    match result {
        Ok(_) => Err("it was not refused".into()),
        Err(sqlx::Error::Database(error)) => {
            let error = error.downcast_ref::<MySqlDatabaseError>();
            Ok(format!("{}/{}", error.number(), error.code().unwrap_or("")))
        }
        Err(other) => Err(other.into()),
    }
}

/// By the text protocol.
async fn execute(c: &mut MySqlConnection, sql: impl Into<String>) -> Result<(), sqlx::Error> {
    c.execute(sqlx::raw_sql(AssertSqlSafe(sql.into()))).await.map(drop)
}

async fn query(c: &mut MySqlConnection, sql: impl Into<String>) -> Result<Vec<MySqlRow>, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_all(c).await
}

async fn number(c: &mut MySqlConnection, sql: impl Into<String>) -> Result<i64, sqlx::Error> {
    query(c, sql).await?[0].try_get_unchecked(0)
}

fn big_text() -> String {
    "0123456789 é日🐬".repeat(50_000)
}

fn big_blob() -> Vec<u8> {
    (0..256 * 4096).map(|i| i as u8).collect()
}

fn all_rows(found: Vec<MySqlRow>) -> Outcome {
    same(found.len(), 10_000)?;
    for (key, row) in (1..).zip(&found) {
        let n: Option<i64> = row.try_get_unchecked(2)?;
        let line = (row.try_get_unchecked::<i64, _>(0)?, row.try_get::<String, _>(1)?, n);
        same(line, (key, format!("row {key}"), (key % 2 == 1).then_some(key)))?;
    }
    Ok(String::new())
}

impl Place {
    async fn open(&self, password: &str) -> Result<MySqlConnection, sqlx::Error> {
        let mut options = MySqlConnectOptions::new()
            .host(&setting("DRIVER_HOST"))
            .port(setting("DRIVER_PORT").parse().expect("DRIVER_PORT"))
            .username(&setting("DRIVER_USER"))
            .password(password)
            .database(&self.database)
            // vtgate does not support this mode, which sqlx sets unless told otherwise.
            .pipes_as_concat(false)
            .ssl_mode(MySqlSslMode::Disabled);
        let ca = setting("DRIVER_CA");
        if !ca.is_empty() {
            options = options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(ca);
        }
        MySqlConnection::connect_with(&options).await
    }

    async fn run(&self, check: &str) -> Outcome {
        let mut c = self.open(&self.password).await?;
        let detail = self.check(check, &mut c).await;
        let closed = c.close().await;
        let detail = detail?;
        closed?;
        Ok(detail)
    }

    async fn check(&self, check: &str, c: &mut MySqlConnection) -> Outcome {
        match check {
            "login" => self.login(c).await,
            "wrong_password" => self.wrong_password().await,
            "ping" => Ok(c.ping().await.map(|()| String::new())?),
            "create" => self.create(c).await,
            "text" => self.text(c).await,
            "big" => self.big(c).await,
            "prepared" => self.prepared(c).await,
            "prepared_big" => self.prepared_big(c).await,
            "rows" => all_rows(query(c, format!("SELECT id, s, n FROM `{}` ORDER BY id", self.rows)).await?),
            "prepared_rows" => self.prepared_rows(c).await,
            "multi" => self.multi(c).await,
            "multi_error" => self.multi_error(c).await,
            "transaction" => self.transaction(c).await,
            "error" => self.error(c).await,
            "reset" => Ok("no reset".into()),
            "change_user" => Ok("no change of user".into()),
            "ddl_text" => self.ddl(c, "by_text", false).await,
            "ddl_prepared" => self.ddl(c, "by_prepared", true).await,
            "drop" => self.drop(c).await,
            other => Err(format!("no such check: {other}").into()),
        }
    }

    /// The first column of the answer of each shard.
    async fn on_shards(&self, c: &mut MySqlConnection, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let mut answers = Vec::new();
        for shard in &self.shards {
            execute(c, format!("USE `{shard}`")).await?;
            let rows = query(c, sql).await?;
            answers.push(rows.iter().map(|row| row.try_get_unchecked(0)).collect::<Result<_, _>>()?);
        }
        execute(c, format!("USE `{}`", self.database)).await?;
        Ok(answers)
    }

    async fn column_is_there(&self, c: &mut MySqlConnection, column: &str, expected: bool) -> Outcome {
        let found = self.on_shards(c, &format!("SHOW COLUMNS FROM `{}`", self.table)).await?;
        if found.iter().all(|names| names.iter().any(|name| name == column) == expected) {
            return Ok(String::new());
        }
        Err(format!("{column}: shards have {found:?}").into())
    }

    async fn login(&self, c: &mut MySqlConnection) -> Outcome {
        let name: String = query(c, "SELECT DATABASE()").await?[0].try_get_unchecked(0)?;
        same(&name, &self.database)?;
        Ok(String::new())
    }

    async fn wrong_password(&self) -> Outcome {
        let code = refused(self.open(&format!("{}x", self.password)).await)?;
        same(code.starts_with("1045"), true)?;
        Ok(code)
    }

    async fn create(&self, c: &mut MySqlConnection) -> Outcome {
        execute(c, format!("CREATE TABLE `{}` ({COLUMNS})", self.table)).await?;
        self.column_is_there(c, "x", true).await
    }

    async fn text(&self, c: &mut MySqlConnection) -> Outcome {
        let sql = format!("SELECT NULL, '', '{UNICODE}', -9223372036854775808, NULL, 1.50");
        let row = &query(c, sql).await?[0];
        let texts: Vec<Option<String>> =
            [0, 1, 2, 4, 5].into_iter().map(|i| row.try_get_unchecked(i)).collect::<Result<_, _>>()?;
        let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
        same(texts, vec![None, Some(""), Some(UNICODE), None, Some("1.50")])?;
        same(row.try_get_unchecked::<i64, _>(3)?, i64::MIN)?;
        Ok(String::new())
    }

    async fn big(&self, c: &mut MySqlConnection) -> Outcome {
        execute(c, format!("INSERT INTO `{}` (id, x) VALUES (1, '{}')", self.table, big_text())).await?;
        let rows = query(c, format!("SELECT x FROM `{}` WHERE id = 1", self.table)).await?;
        same(rows[0].try_get::<String, _>(0)? == big_text(), true)?;
        Ok(String::new())
    }

    async fn prepared(&self, c: &mut MySqlConnection) -> Outcome {
        let insert = format!("INSERT INTO `{}` (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.table);
        let select = format!("SELECT id, i, d, f, t, s, b, x FROM `{}` WHERE id = ?", self.table);
        let moment = NaiveDate::from_ymd_opt(2024, 2, 29).and_then(|day| day.and_hms_micro_opt(23, 59, 58, 123_456));
        let blob = b"\x00\xff'\\".to_vec();
        sqlx::query(AssertSqlSafe(insert.clone()))
            .bind(2_i64)
            .bind(-7_i32)
            .bind("1234567890.1234")
            .bind(2.5_f64)
            .bind(moment)
            .bind(UNICODE)
            .bind(&blob)
            .bind("")
            .execute(&mut *c)
            .await?;
        let row = sqlx::query(AssertSqlSafe(select.clone())).bind(2_i64).fetch_one(&mut *c).await?;
        same(row.try_get::<i64, _>(0)?, 2)?;
        same(row.try_get::<i32, _>(1)?, -7)?;
        same(row.try_get_unchecked::<String, _>(2)?.as_str(), "1234567890.1234")?;
        same(row.try_get::<f64, _>(3)?, 2.5)?;
        same(row.try_get(4)?, moment)?;
        same(row.try_get::<String, _>(5)?.as_str(), UNICODE)?;
        same(row.try_get::<Vec<u8>, _>(6)?, blob)?;
        same(row.try_get::<String, _>(7)?.as_str(), "")?;
        let nothing = None::<String>;
        sqlx::query(AssertSqlSafe(insert))
            .bind(3_i64)
            .bind(None::<i32>)
            .bind(&nothing)
            .bind(None::<f64>)
            .bind(&nothing)
            .bind(&nothing)
            .bind(None::<Vec<u8>>)
            .bind(&nothing)
            .execute(&mut *c)
            .await?;
        let row = sqlx::query(AssertSqlSafe(select)).bind(3_i64).fetch_one(c).await?;
        for i in 1..8 {
            same(row.try_get_unchecked::<Option<Vec<u8>>, _>(i)?, None)?;
        }
        Ok(String::new())
    }

    async fn prepared_big(&self, c: &mut MySqlConnection) -> Outcome {
        sqlx::query(AssertSqlSafe(format!("INSERT INTO `{}` (id, b) VALUES (?, ?)", self.table)))
            .bind(4_i64)
            .bind(big_blob())
            .execute(&mut *c)
            .await?;
        let row = sqlx::query(AssertSqlSafe(format!("SELECT b FROM `{}` WHERE id = ?", self.table)))
            .bind(4_i64)
            .fetch_one(c)
            .await?;
        same(row.try_get::<Vec<u8>, _>(0)? == big_blob(), true)?;
        Ok(String::new())
    }

    async fn prepared_rows(&self, c: &mut MySqlConnection) -> Outcome {
        let sql = format!("SELECT id, s, n FROM `{}` WHERE id > ? ORDER BY id", self.rows);
        all_rows(sqlx::query(AssertSqlSafe(sql)).bind(0_i64).fetch_all(c).await?)
    }

    /// The rows of several statements, "--" for the end of each, until the first error.
    async fn results(&self, c: &mut MySqlConnection, sql: String) -> (Vec<String>, Option<sqlx::Error>) {
        let mut found = Vec::new();
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(c);
        loop {
            match stream.try_next().await {
                Ok(Some(Either::Left(_))) => found.push("--".into()),
                Ok(Some(Either::Right(row))) => found.push(row.try_get_unchecked(0).unwrap_or("NULL".into())),
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    async fn multi(&self, c: &mut MySqlConnection) -> Outcome {
        let sql = format!("SELECT '1'; SELECT 'two', NULL; DELETE FROM `{}` WHERE id = -1; SELECT '4'", self.table);
        match self.results(c, sql).await {
            (found, None) => same(found.join(" ").as_str(), "1 -- two -- -- 4 --")?,
            (_, Some(error)) => return Err(error.into()),
        }
        Ok(String::new())
    }

    async fn multi_error(&self, c: &mut MySqlConnection) -> Outcome {
        let sql = "SELECT '1'; SELECT 2 FROM no_such_table_at_all; SELECT 3";
        let (found, error) = self.results(c, sql.into()).await;
        same(found.join(" ").as_str(), "1 --")?;
        let code = refused(error.map_or(Ok(()), Err))?;
        same(number(c, "SELECT 5").await?, 5)?;
        Ok(code)
    }

    async fn transaction(&self, c: &mut MySqlConnection) -> Outcome {
        let mut other = self.open(&self.password).await?;
        for (key, seen) in [(10, 0), (11, 1)] {
            let count = format!("SELECT count(*) FROM `{}` WHERE id = {key}", self.table);
            let mut transaction = c.begin().await?;
            execute(&mut transaction, format!("INSERT INTO `{}` (id, i) VALUES ({key}, 1)", self.table)).await?;
            same(number(&mut other, &count).await?, 0)?;
            if seen == 1 {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            same(number(&mut other, &count).await?, seen)?;
        }
        other.close().await?;
        Ok(String::new())
    }

    async fn error(&self, c: &mut MySqlConnection) -> Outcome {
        let insert = format!("INSERT INTO `{}` (id) VALUES (20)", self.table);
        let mut codes = Vec::new();
        execute(c, &insert).await?;
        for sql in ["SELEKT 1", &insert, "SELECT 1 FROM no_such_table_at_all"] {
            codes.push(refused(execute(c, sql).await)?);
            same(number(c, "SELECT 1").await?, 1)?;
        }
        Ok(codes.join(" "))
    }

    async fn ddl(&self, c: &mut MySqlConnection, column: &str, prepared: bool) -> Outcome {
        for (what, there) in [(format!("ADD COLUMN {column} int"), true), (format!("DROP COLUMN {column}"), false)] {
            let sql = format!("ALTER TABLE `{}` {what}", self.table);
            if prepared {
                sqlx::query(AssertSqlSafe(sql)).execute(&mut *c).await?;
            } else {
                execute(c, sql).await?;
            }
            self.column_is_there(c, column, there).await?;
        }
        Ok(String::new())
    }

    async fn drop(&self, c: &mut MySqlConnection) -> Outcome {
        execute(c, format!("DROP TABLE `{}`", self.table)).await?;
        let found = self.on_shards(c, &format!("SHOW TABLES LIKE '{}'", self.table)).await?;
        same(found.iter().all(Vec::is_empty), true)?;
        Ok(String::new())
    }
}
