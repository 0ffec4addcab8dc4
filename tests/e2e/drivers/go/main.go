// The driver checks (see ../README.md) for go-sql-driver.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const columns = "id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), " +
	"s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4"
const unicode = "zażółć 日本語 🐬"

var (
	database = os.Getenv("DRIVER_DATABASE")
	table    = os.Getenv("DRIVER_TABLE")
	rowTable = os.Getenv("DRIVER_ROWS")
	shards   = strings.Split(os.Getenv("DRIVER_SHARDS"), ",")
	bigText  = strings.Repeat("0123456789 é日🐬", 50_000)
	bigBlob  = bytes.Repeat(everyByte(), 4096)
	ctx      = context.Background()
)

// unsupported: the driver has no such thing.
type unsupported string

func (u unsupported) Error() string { return string(u) }

type check struct {
	name string
	run  func(*sql.Conn) (string, error)
}

var checks = []check{
	{"login", login},
	{"wrong_password", wrongPassword},
	{"ping", func(c *sql.Conn) (string, error) { return "", c.PingContext(ctx) }},
	{"create", create},
	{"text", text},
	{"big", big},
	{"prepared", prepared},
	{"prepared_big", preparedBig},
	{"rows", rows},
	{"prepared_rows", preparedRows},
	{"multi", multi},
	{"multi_error", multiError},
	{"transaction", transaction},
	{"error", errorGoesOn},
	{"reset", func(*sql.Conn) (string, error) { return "", unsupported("no reset") }},
	{"change_user", func(*sql.Conn) (string, error) { return "", unsupported("no change of user") }},
	{"ddl_text", ddlText},
	{"ddl_prepared", ddlPrepared},
	{"drop", drop},
}

func main() {
	report("version", nil, version())
	for _, check := range checks {
		err, detail := runOne(check)
		report(check.name, err, detail)
		if check.name == "login" && err != nil {
			return
		}
	}
}

func runOne(check check) (error, string) {
	db, err := open(os.Getenv("DRIVER_PASSWORD"))
	if err != nil {
		return err, ""
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err, ""
	}
	defer conn.Close()
	detail, err := check.run(conn)
	return err, detail
}

func report(name string, err error, detail string) {
	line := map[string]any{"check": name, "ok": err == nil, "detail": detail}
	if err != nil {
		line["detail"] = err.Error()
		if errors.As(err, new(unsupported)) {
			line["ok"] = nil
		}
	}
	encoded, _ := json.Marshal(line)
	fmt.Println(string(encoded))
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/go-sql-driver/mysql" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func open(password string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", os.Getenv("DRIVER_HOST")+":"+os.Getenv("DRIVER_PORT")
	config.User, config.Passwd, config.DBName = os.Getenv("DRIVER_USER"), password, database
	config.MultiStatements, config.ParseTime = true, true
	if ca := os.Getenv("DRIVER_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		config.TLS = &tls.Config{RootCAs: roots, ServerName: os.Getenv("DRIVER_HOST")}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Helpers.

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func same(found, expected any) error {
	if !reflect.DeepEqual(found, expected) {
		return fmt.Errorf("%.120v instead of %.120v", found, expected)
	}
	return nil
}

// execute runs statements one after the other; the first error ends it.
func execute(c *sql.Conn, statements ...string) error {
	for _, statement := range statements {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// refused gives the code of an error that there must be.
func refused(err error) (string, error) {
	var server *mysql.MySQLError
	if !errors.As(err, &server) {
		return "", fmt.Errorf("not an error of the server: %v", err)
	}
	return fmt.Sprintf("%d/%s", server.Number, server.SQLState[:]), nil
}

// onShards gives the first column of the answer of each shard.
func onShards(c *sql.Conn, query string) ([][]string, error) {
	var answers [][]string
	for _, shard := range shards {
		if err := execute(c, "USE `"+shard+"`"); err != nil {
			return nil, err
		}
		answer, err := firstColumn(c, query)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, execute(c, "USE `"+database+"`")
}

func firstColumn(c *sql.Conn, query string) ([]string, error) {
	result, err := c.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	names, _ := result.Columns()
	values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	var first []string
	for result.Next() {
		if err := result.Scan(targets...); err != nil {
			return nil, err
		}
		first = append(first, values[0].String)
	}
	return first, result.Err()
}

func columnIsThere(c *sql.Conn, column string, expected bool) error {
	found, err := onShards(c, "SHOW COLUMNS FROM `"+table+"`")
	if err != nil {
		return err
	}
	for _, names := range found {
		there := false
		for _, name := range names {
			there = there || name == column
		}
		if there != expected {
			return fmt.Errorf("%s: shards have %v", column, found)
		}
	}
	return nil
}

// The checks.

func login(c *sql.Conn) (string, error) {
	var name string
	if err := c.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&name); err != nil {
		return "", err
	}
	return "", same(name, database)
}

func wrongPassword(*sql.Conn) (string, error) {
	db, err := open(os.Getenv("DRIVER_PASSWORD") + "x")
	if err != nil {
		return "", err
	}
	defer db.Close()
	code, err := refused(db.Ping())
	if err == nil && !strings.HasPrefix(code, "1045") {
		return "", errors.New(code)
	}
	return code, err
}

func create(c *sql.Conn) (string, error) {
	if err := execute(c, "CREATE TABLE `"+table+"` ("+columns+")"); err != nil {
		return "", err
	}
	return "", columnIsThere(c, "x", true)
}

func text(c *sql.Conn) (string, error) {
	var null1, null2 sql.NullString
	var empty, word, decimal string
	var least int64
	err := c.QueryRowContext(ctx, "SELECT NULL, '', '"+unicode+"', -9223372036854775808, NULL, 1.50").
		Scan(&null1, &empty, &word, &least, &null2, &decimal)
	if err != nil {
		return "", err
	}
	return "", same([]any{null1.Valid, empty, word, least, null2.Valid, decimal},
		[]any{false, "", unicode, int64(-1 << 63), false, "1.50"})
}

func big(c *sql.Conn) (string, error) {
	if err := execute(c, "INSERT INTO `"+table+"` (id, x) VALUES (1, '"+bigText+"')"); err != nil {
		return "", err
	}
	var value string
	if err := c.QueryRowContext(ctx, "SELECT x FROM `"+table+"` WHERE id = 1").Scan(&value); err != nil {
		return "", err
	}
	return "", same(value, bigText)
}

func prepared(c *sql.Conn) (string, error) {
	insert, err := c.PrepareContext(ctx, "INSERT INTO `"+table+
		"` (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return "", err
	}
	defer insert.Close()
	query, err := c.PrepareContext(ctx, "SELECT id, i, d, f, t, s, b, x FROM `"+table+"` WHERE id = ?")
	if err != nil {
		return "", err
	}
	defer query.Close()
	moment := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC)
	given := []any{int64(2), int64(-7), "1234567890.1234", 2.5, moment, unicode, []byte("\x00\xff'\\"), ""}
	if _, err := insert.Exec(given...); err != nil {
		return "", err
	}
	if _, err := insert.Exec(int64(3), nil, nil, nil, nil, nil, nil, nil); err != nil {
		return "", err
	}
	var id, i int64
	var d, s, x string
	var f float64
	var t time.Time
	var b []byte
	if err := query.QueryRow(int64(2)).Scan(&id, &i, &d, &f, &t, &s, &b, &x); err != nil {
		return "", err
	}
	if err := same([]any{id, i, d, f, t, s, b, x}, given); err != nil {
		return "", err
	}
	nulls, targets := make([]any, 8), make([]any, 8)
	for i := range nulls {
		targets[i] = &nulls[i]
	}
	if err := query.QueryRow(int64(3)).Scan(targets...); err != nil {
		return "", err
	}
	return "", same(nulls, []any{int64(3), nil, nil, nil, nil, nil, nil, nil})
}

func preparedBig(c *sql.Conn) (string, error) {
	if _, err := c.ExecContext(ctx, "INSERT INTO `"+table+"` (id, b) VALUES (?, ?)", 4, bigBlob); err != nil {
		return "", err
	}
	var value []byte
	if err := c.QueryRowContext(ctx, "SELECT b FROM `"+table+"` WHERE id = ?", 4).Scan(&value); err != nil {
		return "", err
	}
	return "", same(value, bigBlob)
}

func allRows(result *sql.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer result.Close()
	count := int64(0)
	for result.Next() {
		var id int64
		var s string
		var n sql.NullInt64
		if err := result.Scan(&id, &s, &n); err != nil {
			return "", err
		}
		count++
		odd := count%2 == 1
		if id != count || s != fmt.Sprintf("row %d", count) || n.Valid != odd || odd && n.Int64 != count {
			return "", fmt.Errorf("row %d is %d, %s, %v", count, id, s, n)
		}
	}
	if err := result.Err(); err != nil {
		return "", err
	}
	return "", same(count, int64(10_000))
}

func rows(c *sql.Conn) (string, error) {
	return allRows(c.QueryContext(ctx, "SELECT id, s, n FROM `"+rowTable+"` ORDER BY id"))
}

func preparedRows(c *sql.Conn) (string, error) {
	return allRows(c.QueryContext(ctx, "SELECT id, s, n FROM `"+rowTable+"` WHERE id > ? ORDER BY id", 0))
}

// results gives the rows of each result; the driver itself skips those without columns.
func results(result *sql.Rows) ([][][]string, error) {
	var all [][][]string
	for {
		names, err := result.Columns()
		if err != nil {
			return all, err
		}
		var lines [][]string
		for result.Next() {
			values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := result.Scan(targets...); err != nil {
				return all, err
			}
			var line []string
			for _, value := range values {
				if !value.Valid {
					value.String = "NULL"
				}
				line = append(line, value.String)
			}
			lines = append(lines, line)
		}
		if len(names) != 0 {
			all = append(all, lines)
		}
		if !result.NextResultSet() {
			return all, result.Err()
		}
	}
}

func multi(c *sql.Conn) (string, error) {
	result, err := c.QueryContext(ctx, "SELECT 1; SELECT 'two', NULL; DELETE FROM `"+table+"` WHERE id = -1; SELECT 4")
	if err != nil {
		return "", err
	}
	defer result.Close()
	found, err := results(result)
	if err != nil {
		return "", err
	}
	return "", same(found, [][][]string{{{"1"}}, {{"two", "NULL"}}, {{"4"}}})
}

func multiError(c *sql.Conn) (string, error) {
	result, err := c.QueryContext(ctx, "SELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3")
	if err != nil {
		return "", err
	}
	found, err := results(result)
	result.Close()
	code, err := refused(err)
	if err != nil {
		return "", err
	}
	if err := same(found, [][][]string{{{"1"}}}); err != nil {
		return "", err
	}
	five, err := firstColumn(c, "SELECT 5")
	if err != nil {
		return "", err
	}
	return code, same(five, []string{"5"})
}

func transaction(c *sql.Conn) (string, error) {
	db, err := open(os.Getenv("DRIVER_PASSWORD"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	other, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer other.Close()
	for _, step := range []struct {
		key  string
		end  func(*sql.Tx) error
		seen string
	}{{"10", (*sql.Tx).Rollback, "0"}, {"11", (*sql.Tx).Commit, "1"}} {
		count := "SELECT count(*) FROM `" + table + "` WHERE id = " + step.key
		tx, err := c.BeginTx(ctx, nil)
		if err != nil {
			return "", err
		}
		if _, err := tx.Exec("INSERT INTO `" + table + "` (id, i) VALUES (" + step.key + ", 1)"); err != nil {
			return "", err
		}
		before, err := firstColumn(other, count)
		if err != nil {
			return "", err
		}
		if err := step.end(tx); err != nil {
			return "", err
		}
		after, err := firstColumn(other, count)
		if err != nil {
			return "", err
		}
		if err := same([]string{before[0], after[0]}, []string{"0", step.seen}); err != nil {
			return "", err
		}
	}
	return "", nil
}

func errorGoesOn(c *sql.Conn) (string, error) {
	insert := "INSERT INTO `" + table + "` (id) VALUES (20)"
	if err := execute(c, insert); err != nil {
		return "", err
	}
	var codes []string
	for _, statement := range []string{"SELEKT 1", insert, "SELECT 1 FROM no_such_table_at_all"} {
		code, err := refused(execute(c, statement))
		if err != nil {
			return "", err
		}
		codes = append(codes, code)
		if _, err := firstColumn(c, "SELECT 1"); err != nil {
			return "", err
		}
	}
	return strings.Join(codes, " "), nil
}

func ddlText(c *sql.Conn) (string, error) {
	if err := execute(c, "ALTER TABLE `"+table+"` ADD COLUMN by_text int"); err != nil {
		return "", err
	}
	if err := columnIsThere(c, "by_text", true); err != nil {
		return "", err
	}
	if err := execute(c, "ALTER TABLE `"+table+"` DROP COLUMN by_text"); err != nil {
		return "", err
	}
	return "", columnIsThere(c, "by_text", false)
}

func ddlPrepared(c *sql.Conn) (string, error) {
	for _, step := range []struct {
		sql   string
		there bool
	}{{"ADD COLUMN by_prepared int", true}, {"DROP COLUMN by_prepared", false}} {
		statement, err := c.PrepareContext(ctx, "ALTER TABLE `"+table+"` "+step.sql)
		if err != nil {
			return "", err
		}
		_, err = statement.Exec()
		statement.Close()
		if err != nil {
			return "", err
		}
		if err := columnIsThere(c, "by_prepared", step.there); err != nil {
			return "", err
		}
	}
	return "", nil
}

func drop(c *sql.Conn) (string, error) {
	if err := execute(c, "DROP TABLE `"+table+"`"); err != nil {
		return "", err
	}
	found, err := onShards(c, "SHOW TABLES LIKE '"+table+"'")
	if err != nil {
		return "", err
	}
	for _, names := range found {
		if len(names) != 0 {
			return "", fmt.Errorf("shards have %v", found)
		}
	}
	return "", nil
}
