package program

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// build compiles the program to path. The file appears there whole or not at all.
func (c *Cache) build(ctx context.Context, p Program, s source, path string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("build %s: Go is needed once to build the lab, and there is no go in PATH; see https://go.dev/dl", p.Name)
	}
	c.progress(Progress{Program: p.Name})
	defer c.progress(Progress{Program: p.Name, Done: true})
	total := c.count(ctx, p, s)

	partial := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(partial)
	cmd := goCommand(ctx, s, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags(s.version), "-o", partial, p.Package)
	output, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	problems := follow(output, func(compiled int) {
		c.progress(Progress{Program: p.Name, Compiled: compiled, Total: total})
	})
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("build %s: %w\n%s", p.Name, err, strings.Join(problems, "\n"))
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("keep %s: %w", p.Name, err)
	}
	return nil
}

// follow counts the packages that go build -v names as it compiles them, and returns the last lines that are something else.
func follow(output io.Reader, compiled func(int)) []string {
	const keep = 20
	var other []string
	n := 0
	for lines := bufio.NewScanner(output); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "go: downloading") {
			continue
		}
		if strings.HasPrefix(line, "#") || strings.ContainsAny(line, " \t:") {
			other = append(other[max(0, len(other)-keep+1):], line)
			continue
		}
		n++
		compiled(n)
	}
	return other
}

// count returns how many packages the program consists of. 0 when that can't be told: the build itself will say why.
func (c *Cache) count(ctx context.Context, p Program, s source) int {
	out, err := goCommand(ctx, s, "list", "-deps", p.Package).Output()
	if err != nil {
		return 0
	}
	return bytes.Count(out, []byte("\n"))
}

func goCommand(ctx context.Context, s source, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.dir
	// Static, so that the same file runs on the host and in a container; the lab's modules are in no workspace and want none of
	// the flags that the user sets for other builds.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	return cmd
}

// linkerFlags strips the executable and stamps the version of Kubernetes into it, which clients ask for.
func linkerFlags(version string) string {
	flags := []string{"-s", "-w"}
	if version != "" {
		parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
		const pkg = "-X k8s.io/component-base/version."
		flags = append(flags, pkg+"gitVersion="+version, pkg+"gitMajor="+parts[0], pkg+"gitMinor="+parts[1], pkg+"gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}
