// Command load runs a steady load against a vtgate or a shim and says in JSON how it went.
//
// Each of the connections belongs to one table and does one thing after another: an autocommit
// statement (INSERT, SELECT, UPDATE or DELETE of one row) or, with the given share, a short transaction
// of three statements. Rows get ids of their own from -first on, and are removed at the end, so that
// nobody else's data are touched.
//
//	load -dsn 'app:secret@tcp(127.0.0.1:13306)/commerce' -tables demo,customer -connections 16 -seconds 10
//
// With -tables demo,customer and -connections 16 there are 2 x 16 connections. Per table and kind
// ("statement", "begin", "in_transaction", "commit") the result has the count, the errors and the
// latencies; "longest_stall_ms" is the longest time in which not one operation on the table ended, and
// "slow" tells when the slowest operations began, in milliseconds since the start. "first_in_transaction" is
// the first statement of a transaction, which a shim may park while the others go on. With -timeline the
// longest operation that began in each tenth of a second is told, too, by table and kind.
//
// With -verify each row counts the updates that it got, and whoever reads or deletes it compares: "wrong" tells
// what was lost or done twice. After an error a connection does not know, and begins with a fresh look.
// -dsn may name several places, separated by blanks: connections take turns. -mixed: every other one of them uses
// prepared statements.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/signal"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

// column is what is written in each table that the bed has; other tables need -column.
var column = map[string]string{"demo": "status", "customer": "email"}

type sample struct{ began, took time.Duration }

// recorder collects what happened in one connection, or in all of a table.
type recorder struct {
	samples map[string][]sample
	errors  map[string]int
	wrong   map[string]int
}

func newRecorder() *recorder {
	return &recorder{samples: map[string][]sample{}, errors: map[string]int{}, wrong: map[string]int{}}
}

func (r *recorder) merge(other *recorder) {
	for kind, samples := range other.samples {
		r.samples[kind] = append(r.samples[kind], samples...)
	}
	for text, n := range other.errors {
		r.errors[text] += n
	}
	for text, n := range other.wrong {
		r.wrong[text] += n
	}
}

type latencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

type tableReport struct {
	Operations   int                  `json:"operations"`
	Errors       map[string]int       `json:"errors"`
	Kinds        map[string]latencies `json:"kinds"`
	LongestStall float64              `json:"longest_stall_ms"`
	Slow         []slow               `json:"slow"`
	Timeline     map[string][]float64 `json:"timeline,omitempty"` // kind: the longest, in ms, of each window
}

const window = 100 * time.Millisecond

type slow struct {
	Kind  string  `json:"kind"`
	Began float64 `json:"began_ms"`
	Took  float64 `json:"took_ms"`
}

type report struct {
	Seconds    float64                 `json:"seconds"`
	Operations int                     `json:"operations"`
	ErrorCount int                     `json:"error_count"`
	Errors     map[string]int          `json:"errors"`
	Wrong      map[string]int          `json:"wrong"`
	Tables     map[string]*tableReport `json:"tables"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func summarize(samples []sample) latencies {
	if len(samples) == 0 {
		return latencies{}
	}
	took := make([]time.Duration, len(samples))
	for i, s := range samples {
		took[i] = s.took
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	at := func(share float64) float64 { return ms(took[int(share*float64(len(took)-1))]) }
	return latencies{len(took), at(0.5), at(0.9), at(0.99), ms(took[len(took)-1])}
}

// timelineOf gives the longest operation that began in each window.
func timelineOf(samples []sample, length time.Duration) []float64 {
	out := make([]float64, length/window+1)
	for _, s := range samples {
		if i := int(s.began / window); i < len(out) {
			out[i] = max(out[i], ms(s.took))
		}
	}
	return out
}

// reportOf turns what the connections of a table recorded into its part of the answer.
func reportOf(r *recorder, length time.Duration, timeline bool) *tableReport {
	out := &tableReport{Errors: r.errors, Kinds: map[string]latencies{}}
	ends := []time.Duration{0, length}
	for kind, samples := range r.samples {
		out.Operations += len(samples)
		out.Kinds[kind] = summarize(samples)
		if timeline {
			if out.Timeline == nil {
				out.Timeline = map[string][]float64{}
			}
			out.Timeline[kind] = timelineOf(samples, length)
		}
		for _, s := range samples {
			if end := s.began + s.took; end < length {
				ends = append(ends, end)
			}
			if s.took > 200*time.Millisecond {
				out.Slow = append(out.Slow, slow{kind, ms(s.began), ms(s.took)})
			}
		}
	}
	sort.Slice(ends, func(i, j int) bool { return ends[i] < ends[j] })
	for i := 1; i < len(ends); i++ {
		out.LongestStall = max(out.LongestStall, ms(ends[i]-ends[i-1]))
	}
	sort.Slice(out.Slow, func(i, j int) bool { return out.Slow[i].Took > out.Slow[j].Took })
	out.Slow = out.Slow[:min(len(out.Slow), 50)]
	return out
}

// client is one connection at work on one table.
type client struct {
	*recorder
	conn          *sql.Conn
	table, column string
	id            int64 // its row
	exists        bool
	updates       int64 // that the row should count
	unsure        bool  // after an error: whether it was executed nobody knows
	verify        bool
	random        *rand.Rand
	start         time.Time
	pace          time.Duration
}

func (c *client) do(kind, text string, args ...any) bool {
	began := time.Now()
	var err error
	if strings.HasPrefix(text, "SELECT") {
		err = c.look(text, args...)
	} else {
		err = c.change(text, args...)
	}
	c.samples[kind] = append(c.samples[kind], sample{began.Sub(c.start), time.Since(began)})
	if err != nil {
		c.errors[fmt.Sprintf("%s: %v", kind, err)]++
		c.unsure = true
	}
	return err == nil
}

// change is a write, or what begins or ends a transaction. A row that is changed must be there.
func (c *client) change(text string, args ...any) error {
	result, err := c.conn.ExecContext(context.Background(), text, args...)
	if err != nil || !c.verify || len(args) == 0 || c.unsure {
		return err
	}
	if n, _ := result.RowsAffected(); n != 1 {
		c.wrong[fmt.Sprintf("%s changed %d rows", strings.Fields(text)[0], n)]++
	}
	return nil
}

// look is a read; what it finds is compared with what was done.
func (c *client) look(text string, args ...any) error {
	if !c.verify {
		return c.conn.QueryRowContext(context.Background(), text, args...).Scan(new(int64))
	}
	var found int64
	err := c.conn.QueryRowContext(context.Background(), text, args...).Scan(&found)
	exists := err == nil
	if err != nil && err != sql.ErrNoRows {
		return err
	}
	switch {
	case c.unsure:
		c.unsure, c.exists, c.updates = false, exists, found
	case exists != c.exists:
		c.wrong[fmt.Sprintf("a row is there: %v, should be: %v", exists, c.exists)]++
		c.exists, c.updates = exists, found
	case exists && found < c.updates:
		c.wrong["updates lost"] += int(c.updates - found)
		c.updates = found
	case exists && found > c.updates:
		c.wrong["updates done twice"] += int(found - c.updates)
		c.updates = found
	}
	return nil
}

// write is one statement on the client's own row, chosen so that the row keeps coming and going.
func (c *client) write(kind string) bool {
	if !c.exists {
		text := fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (?, ?)", c.table, c.column)
		c.exists = c.do(kind, text, c.id, "0")
		c.updates = 0
		return c.exists
	}
	if c.random.Intn(4) == 0 {
		gone := c.do(kind, fmt.Sprintf("DELETE FROM %s WHERE id = ?", c.table), c.id)
		c.exists = !gone
		return gone
	}
	if c.verify {
		done := c.do(kind, fmt.Sprintf("UPDATE %s SET %s = %s + 1 WHERE id = ?", c.table, c.column, c.column), c.id)
		if done {
			c.updates++
		}
		return done
	}
	text := fmt.Sprintf("UPDATE %s SET %s = ? WHERE id = ?", c.table, c.column)
	return c.do(kind, text, fmt.Sprint(c.random.Intn(1000)), c.id)
}

func (c *client) read(kind string) bool {
	if c.verify {
		return c.do(kind, fmt.Sprintf("SELECT %s FROM %s WHERE id = ?", c.column, c.table), c.id)
	}
	return c.do(kind, fmt.Sprintf("SELECT count(*) FROM %s WHERE id = ?", c.table), c.id)
}

func (c *client) transaction() {
	if !c.do("begin", "BEGIN") {
		return
	}
	existed, updates := c.exists, c.updates
	if c.write("first_in_transaction") && c.read("in_transaction") && c.write("in_transaction") {
		if c.do("commit", "COMMIT") {
			return
		}
	}
	c.do("rollback", "ROLLBACK")
	c.exists, c.updates = existed, updates
}

func (c *client) run(ctx context.Context, until time.Time, share int) {
	for time.Now().Before(until) && ctx.Err() == nil {
		switch {
		case c.verify && c.unsure:
			c.read("statement")
		case c.random.Intn(100) < share:
			c.transaction()
		case c.random.Intn(2) == 0:
			c.read("statement")
		default:
			c.write("statement")
		}
		if c.pace > 0 {
			time.Sleep(c.pace)
		}
	}
	if c.verify {
		c.read("statement")
	}
	if _, err := c.conn.ExecContext(context.Background(), fmt.Sprintf("DELETE FROM %s WHERE id = ?", c.table), c.id); err != nil {
		c.errors[fmt.Sprintf("clean-up: %v", err)]++
	}
}

func main() {
	dsn := flag.String("dsn", "", "data source name of go-sql-driver/mysql")
	connections := flag.Int("connections", 16, "connections for each table")
	tables := flag.String("tables", "demo,customer", "tables, each with a bigint id and a text column (TABLE or TABLE.COLUMN)")
	seconds := flag.Float64("seconds", 10, "how long")
	share := flag.Int("transactions", 20, "percentage of short transactions")
	first := flag.Int64("first", 900000000, "rows get ids downwards from minus this number")
	pace := flag.Duration("pace", 0, "pause of a connection between two operations")
	timeline := flag.Bool("timeline", false, "tell the longest operation of each tenth of a second")
	prepared := flag.Bool("prepared", false, "server-side prepared statements instead of text")
	mixed := flag.Bool("mixed", false, "every other connection uses prepared statements")
	verify := flag.Bool("verify", false, "count lost and repeated writes")
	flag.Parse()
	dbs, err := open(*dsn, *prepared, *mixed)
	if err == nil {
		err = run(dbs, *connections, *tables, *seconds, *share, *first, *pace, *timeline, *verify)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// open gives what the connections take turns in.
func open(dsns string, prepared, mixed bool) ([]*sql.DB, error) {
	ways := []bool{prepared}
	if mixed {
		ways = []bool{false, true}
	}
	var dbs []*sql.DB
	for _, prepared := range ways {
		for _, dsn := range strings.Fields(dsns) {
			separator := "?"
			if strings.Contains(dsn[strings.LastIndex(dsn, "/")+1:], "?") {
				separator = "&"
			}
			db, err := sql.Open("mysql", fmt.Sprintf("%s%sinterpolateParams=%v", dsn, separator, !prepared))
			if err != nil {
				return nil, err
			}
			dbs = append(dbs, db)
		}
	}
	if len(dbs) == 0 {
		return nil, fmt.Errorf("-dsn: where to?")
	}
	return dbs, nil
}

func run(dbs []*sql.DB, connections int, tables string, seconds float64, share int, first int64, pace time.Duration, timeline, verify bool) error {
	ctx := context.Background()
	var clients []*client
	for _, name := range strings.Split(tables, ",") {
		table, col, _ := strings.Cut(name, ".")
		if col == "" {
			col = column[table]
		}
		if col == "" {
			return fmt.Errorf("which column of %s? write %s.COLUMN", table, table)
		}
		for range connections {
			conn, err := dbs[len(clients)%len(dbs)].Conn(ctx)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer conn.Close()
			n := int64(len(clients))
			clients = append(clients, &client{recorder: newRecorder(), conn: conn, table: table, column: col,
				id: -first - n, random: rand.New(rand.NewSource(n)), pace: pace, verify: verify})
		}
	}
	fmt.Fprintln(os.Stderr, "connected") // whoever waits for the load may begin
	length := time.Duration(seconds * float64(time.Second))
	// SIGINT and SIGTERM end it early; what is under way is finished.
	stopped, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	start := time.Now()
	var group sync.WaitGroup
	for _, c := range clients {
		c.start = start
		group.Add(1)
		go func() {
			defer group.Done()
			c.run(stopped, start.Add(length), share)
		}()
	}
	group.Wait()
	length = min(length, time.Since(start))
	return print(clients, time.Since(start), length, timeline)
}

func print(clients []*client, took, length time.Duration, timeline bool) error {
	perTable := map[string]*recorder{}
	for _, c := range clients {
		if perTable[c.table] == nil {
			perTable[c.table] = newRecorder()
		}
		perTable[c.table].merge(c.recorder)
	}
	all := report{Seconds: took.Seconds(), Errors: map[string]int{}, Wrong: map[string]int{}, Tables: map[string]*tableReport{}}
	for table, r := range perTable {
		all.Tables[table] = reportOf(r, length, timeline)
		all.Operations += all.Tables[table].Operations
		for text, n := range r.errors {
			all.Errors[text] += n
			all.ErrorCount += n
		}
		for text, n := range r.wrong {
			all.Wrong[table+": "+text] += n
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}
