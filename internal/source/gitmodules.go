package source

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/config"
)

// module is what .gitmodules says of one submodule.
type module struct {
	path string
	url  string
}

const (
	modulesFile = ".gitmodules"
	// maxModulesFileBytes bounds .gitmodules.
	maxModulesFileBytes = 256 << 10
	// maxModules bounds the submodules of a repository, those of submodules included.
	maxModules = 100
	// maxModuleDepth bounds submodules in submodules.
	maxModuleDepth = 5
)

// parseModules reads .gitmodules, in the order of the paths. Only path and url count: a command to update with, or a strategy, is for work trees.
func parseModules(text []byte) (_ []module, err error) {
	defer guard(&err)
	parsed := config.NewModules()
	if err := parsed.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("it can't be read: %w", quote(err, nil))
	}
	var out []module
	for name, m := range parsed.Submodules {
		clean, err := modulePath(m.Path)
		if err != nil {
			return nil, fmt.Errorf("the path %s of the submodule %s can't be used: %w", shorten(m.Path), shorten(name), err)
		}
		out = append(out, module{path: clean, url: m.URL})
	}
	slices.SortFunc(out, func(a, b module) int { return strings.Compare(a.path, b.path) })
	for i := 1; i < len(out); i++ {
		if out[i].path == out[i-1].path {
			return nil, fmt.Errorf("two submodules have the path %s", shorten(out[i].path))
		}
	}
	return out, nil
}

var (
	errModulePath = errors.New("it must be a plain path below the repository's root")
	errModuleDash = errors.New("it begins with a dash, which programs take for an option")
	errModuleGit  = errors.New("it leads into a folder of Git's own")
)

// modulePath refuses what has been used to break out of work trees. Nothing is written to such a path here, but consumers of the archive do.
func modulePath(p string) (string, error) {
	if p == "" || path.IsAbs(p) || strings.ContainsAny(p, "\\\x00:") || strings.ContainsFunc(p, hidden) {
		return "", errModulePath
	}
	clean := path.Clean(p)
	for part := range strings.SplitSeq(p, "/") {
		switch folded := strings.TrimRight(strings.ToLower(part), ". "); {
		case part == "..":
			return "", errModulePath
		case folded == ".git", strings.HasPrefix(folded, "git~"):
			return "", errModuleGit
		case strings.HasPrefix(part, "-"):
			return "", errModuleDash
		}
	}
	if clean == "." {
		return "", errModulePath
	}
	return clean, nil
}

// hidden are runes that don't show: some file systems leave them out of names.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Cf) }

// moduleRemote is where a submodule of a repository is. Its URL may be relative to the repository's, or of the form USER@HOST:PATH.
func moduleRemote(raw string, super *remote) (*remote, error) {
	switch {
	case strings.HasPrefix(raw, "-"):
		return nil, errModuleDash
	case raw == "":
		return nil, errors.New("it has no URL")
	case strings.HasPrefix(raw, "./"), strings.HasPrefix(raw, "../"):
		return relativeRemote(raw, super)
	}
	if !strings.Contains(raw, "://") {
		var ok bool
		if raw, ok = fromSCP(raw); !ok {
			return nil, errors.New("its URL is a path of somebody's machine, or of a form that isn't known: write https://…, ssh://… or a relative URL (../NAME)")
		}
	}
	r, err := parseURL(raw, false)
	if err != nil {
		return nil, errors.New("its URL can't be used: it must be https://…, http://…, ssh://… or relative (../NAME)")
	}
	if r.password != "" || r.scheme != "ssh" && r.user != "" {
		return nil, errors.New("its URL has credentials in it, which everybody sees who sees the repository: take them out, and make new ones")
	}
	if strings.HasPrefix(r.host, "-") || strings.HasPrefix(r.user, "-") {
		return nil, errModuleDash
	}
	return r, nil
}

func relativeRemote(raw string, super *remote) (*remote, error) {
	if super.scheme == "file" {
		return nil, errors.New("its URL is relative to a repository on this machine's disk: submodules are only fetched from servers")
	}
	if strings.ContainsAny(raw, "?#\\") || strings.ContainsFunc(raw, hidden) {
		return nil, errors.New("its URL has characters that a path hasn't")
	}
	at := *super
	for part := range strings.SplitSeq(raw, "/") {
		switch part {
		case "", ".":
		case "..":
			if strings.Trim(at.path, "/") == "" {
				return nil, errors.New("its URL leads above the server's root")
			}
			at.path = path.Dir(at.path)
		default:
			at.path = strings.TrimRight(at.path, "/") + "/" + part
		}
	}
	if at.scheme == "ssh" && strings.HasPrefix(strings.TrimLeft(at.path, "/"), "-") {
		return nil, errModuleDash
	}
	return &at, nil
}

// fromSCP rewrites USER@HOST:PATH, which Git takes for SSH.
func fromSCP(raw string) (string, bool) {
	host, p, ok := strings.Cut(raw, ":")
	if !ok || host == "" || p == "" || strings.Contains(host, "/") || strings.HasPrefix(p, ":") || strings.HasPrefix(p, "-") {
		return "", false
	}
	return "ssh://" + host + "/" + strings.TrimLeft(p, "/"), true
}

// sameServer reports whether credentials for one URL may be shown to the other.
func sameServer(a, b *remote) bool {
	return a.scheme == b.scheme && a.host == b.host && a.scheme != "file"
}
