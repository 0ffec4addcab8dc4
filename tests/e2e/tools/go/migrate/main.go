// golang-migrate by its API: main up|down|force FOLDER [VERSION]. TOOL_* say where to (../../README.md).
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/mysql"
	_ "github.com/golang-migrate/migrate/v4/source/file"
)

func run() error {
	env := os.Getenv
	address := fmt.Sprintf("mysql://%s:%s@tcp(%s:%s)/%s?multiStatements=true", env("TOOL_USER"), env("TOOL_PASSWORD"),
		env("TOOL_HOST"), env("TOOL_PORT"), env("TOOL_DATABASE"))
	m, err := migrate.New("file://"+os.Args[2], address)
	if err != nil {
		return err
	}
	defer m.Close()
	switch os.Args[1] {
	case "up":
		err = m.Up()
	case "down":
		err = m.Steps(-1)
	case "force":
		var version int
		if version, err = strconv.Atoi(os.Args[3]); err == nil {
			err = m.Force(version)
		}
	default:
		err = errors.New("unknown: " + os.Args[1])
	}
	if errors.Is(err, migrate.ErrNoChange) {
		fmt.Println(err)
		return nil
	}
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
