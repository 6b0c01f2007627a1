// Command vulncheck runs govulncheck on a module where its database can be
// reached, and says so and succeeds where it can't: a machine without the
// internet must be able to run every other check.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

const (
	database = "https://vuln.go.dev"
	// patience is how long the database may take to answer before it counts as
	// out of reach.
	patience = 5 * time.Second
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: vulncheck MODULE_FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := reach(ctx, http.DefaultClient, database); err != nil {
		fmt.Printf("govulncheck: left out, its database can't be reached: %v\n", err)
		return
	}
	if err := check(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "govulncheck:", err)
		os.Exit(1)
	}
}

// reach asks a database of vulnerabilities for its smallest file.
func reach(ctx context.Context, client *http.Client, database string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, database+"/index/db.json", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", database, resp.Status)
	}
	return nil
}

// check runs govulncheck of this module on every package of another.
func check(ctx context.Context, module string) error {
	tools, err := filepath.Abs("go.mod")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile="+tools, "govulncheck", "-db", database, "./...")
	cmd.Dir = module
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
