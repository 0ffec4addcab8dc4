// Command ddl runs statements with go-sql-driver, one connection for all, and says in JSON how each
// went: rows if it has any, the error, and the seconds until the answer.
//
//	ddl -dsn 'app:secret@tcp(127.0.0.1:13306)/commerce' [-prepared] 'ALTER TABLE demo ADD COLUMN sample INT' ...
//
// -prepared prepares each one on the server and executes that (as interpolateParams=false does for
// statements with parameters). It stops at the first error, with exit status 1.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

type answer struct {
	Columns []string   `json:"columns,omitempty"`
	Rows    [][]string `json:"rows,omitempty"`
	Error   string     `json:"error,omitempty"`
	Seconds float64    `json:"seconds"`
}

func main() {
	dsn := flag.String("dsn", "", "data source name of go-sql-driver/mysql")
	prepared := flag.Bool("prepared", false, "server-side prepared statements instead of text")
	flag.Parse()
	db, err := sql.Open("mysql", *dsn)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ddl:", err)
		os.Exit(2)
	}
	failed := false
	var answers []answer
	conn, err := db.Conn(context.Background())
	if err != nil {
		answers, failed = []answer{{Error: err.Error()}}, true
	} else {
		for _, text := range flag.Args() {
			one := run(conn, text, *prepared)
			answers = append(answers, one)
			if failed = one.Error != ""; failed {
				break
			}
		}
		conn.Close()
	}
	db.Close()
	json.NewEncoder(os.Stdout).Encode(answers)
	if failed {
		os.Exit(1)
	}
}

func run(conn *sql.Conn, text string, prepared bool) answer {
	began := time.Now()
	columns, rows, err := query(conn, text, prepared)
	out := answer{Columns: columns, Rows: rows, Seconds: time.Since(began).Seconds()}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

func query(conn *sql.Conn, text string, prepared bool) ([]string, [][]string, error) {
	ctx := context.Background()
	var rows *sql.Rows
	if prepared {
		statement, err := conn.PrepareContext(ctx, text)
		if err != nil {
			return nil, nil, fmt.Errorf("prepare: %w", err)
		}
		defer statement.Close()
		if rows, err = statement.QueryContext(ctx); err != nil {
			return nil, nil, err
		}
	} else {
		var err error
		if rows, err = conn.QueryContext(ctx, text); err != nil {
			return nil, nil, err
		}
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, nil, err
	}
	var all [][]string
	for rows.Next() {
		values, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return columns, all, err
		}
		row := make([]string, len(columns))
		for i, value := range values {
			row[i] = value.String
		}
		all = append(all, row)
	}
	return columns, all, rows.Err()
}
