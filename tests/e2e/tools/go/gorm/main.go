// GORM's migrator, which keeps no books: main up|down VERSION. TOOL_* say where to (../README.md).
package main

import (
	"fmt"
	"os"

	"gorm.io/driver/mysql"
	"gorm.io/gorm"
)

var table = os.Getenv("TOOL_TABLE")

type First struct {
	ID   int64  `gorm:"primaryKey;autoIncrement:false"`
	Name string `gorm:"size:64;not null"`
}

type Second struct {
	First `gorm:"embedded"`
	Note  *string `gorm:"size:100"`
}

func run(db *gorm.DB, action, version string) error {
	migrator := db.Table(table).Migrator()
	switch action + version {
	case "up1":
		if err := migrator.CreateTable(&First{}); err != nil {
			return err
		}
		return db.Table(table).Create([]First{{1, "item 1"}, {2, "item 2"}, {3, "item 3"}}).Error
	case "up2": // what AutoMigrate does for a column
		if migrator.HasColumn(&Second{}, "Note") {
			return nil
		}
		return migrator.AddColumn(&Second{}, "Note")
	case "up3":
		return migrator.AddColumn(&Second{}, "Note")
	case "down2":
		return migrator.DropColumn(&Second{}, "Note")
	}
	return fmt.Errorf("unknown: %s %s", action, version)
}

func main() {
	env := os.Getenv
	dsn := fmt.Sprintf("%s:%s@tcp(%s:%s)/%s", env("TOOL_USER"), env("TOOL_PASSWORD"), env("TOOL_HOST"),
		env("TOOL_PORT"), env("TOOL_DATABASE"))
	db, err := gorm.Open(mysql.Open(dsn), &gorm.Config{})
	if err == nil {
		err = run(db, os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
