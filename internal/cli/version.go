package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// develVersion is the version of a binary that no release was built from.
const develVersion = "devel"

// versionInfo is what 'slipway version' says about the binary.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with uncommitted changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readVersion reads what the Go toolchain stamped into the binary.
func readVersion() versionInfo {
	info := versionInfo{Version: develVersion, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		info.Version = v
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value
		case "vcs.modified":
			info.Modified = setting.Value == "true"
		}
	}
	return info
}

// ownVersion is the version of this binary where the Go toolchain knows one; else empty.
func ownVersion() string {
	if v := readVersion().Version; v != develVersion {
		return v
	}
	return ""
}

func newVersion(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Long: `Print the version of this binary, the commit it was built from, and what it was built with.

It asks no cluster; 'slipway check' says which version runs there.`,
		Example: `  slipway version
  slipway version -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(*cobra.Command, []string) error {
		info := readVersion()
		if out.value != "text" {
			return app.write(out.value, info)
		}
		commit := info.Commit
		if info.Modified {
			commit += " with uncommitted changes"
		}
		fmt.Fprintf(app.Out, "slipway %s\n", info.Version)
		if commit != "" {
			fmt.Fprintf(app.Out, "commit %s\n", commit)
		}
		fmt.Fprintf(app.Out, "%s %s\n", info.Go, info.Platform)
		return nil
	}
	return cmd
}
