// Command coverage reads a profile of `go test -coverprofile` and fails when
// the tests cover too little of one of the folders that are named.
//
// A statement that several test binaries have seen counts once, and is covered
// when one of them ran it. A folder's number includes what is below it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	minimum := flag.Float64("min", 80, "percentage of its statements that each folder's tests must run")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: coverage [-min PERCENT] PROFILE FOLDER…")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := check(os.Stdout, flag.Arg(0), flag.Args()[1:], *minimum); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

// check prints the coverage of each folder and returns an error that joins
// those below minimum, which is a percentage.
func check(out io.Writer, profile string, folders []string, minimum float64) error {
	f, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer f.Close()
	blocks, err := parse(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", profile, err)
	}
	var errs []error
	for _, folder := range folders {
		percent, ok := blocks.under(folder)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no statement of it is in the profile", folder))
			continue
		}
		fmt.Fprintf(out, "coverage: %-20s %5.1f%%\n", folder, percent)
		if percent < minimum {
			errs = append(errs, fmt.Errorf("%s: %.1f%% of its statements are run by tests, at least %g%% must be", folder, percent, minimum))
		}
	}
	return errors.Join(errs...)
}

// block is a run of statements without a branch.
type block struct {
	statements int
	covered    bool
}

// blocks are a profile's blocks by file and position, as the profile writes them.
type blocks map[string]block

// parse reads lines of the form "FILE:FROM,TO STATEMENTS COUNT".
func parse(r io.Reader) (blocks, error) {
	all := blocks{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %q is not one of a coverage profile", line)
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		covered := fields[2] != "0" || all[fields[0]].covered
		all[fields[0]] = block{statements: statements, covered: covered}
	}
	return all, lines.Err()
}

// under returns the percentage of statements in and below folder that are
// covered, and whether there are any.
func (b blocks) under(folder string) (float64, bool) {
	var total, covered int
	for position, one := range b {
		if !strings.Contains(position, "/"+strings.Trim(folder, "/")+"/") {
			continue
		}
		total += one.statements
		if one.covered {
			covered += one.statements
		}
	}
	if total == 0 {
		return 0, false
	}
	return 100 * float64(covered) / float64(total), true
}
