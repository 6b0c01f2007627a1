package source

import (
	"strings"
	"testing"
)

func TestModulePaths(t *testing.T) {
	cases := map[string]struct {
		reason, path, want string // want empty: refused
	}{
		"Plain":      {reason: "a path", path: "vendor/lib", want: "vendor/lib"},
		"Slash":      {reason: "a trailing slash and a dot mean nothing", path: "./vendor/lib/", want: "vendor/lib"},
		"Dots":       {reason: "names may have dots in them", path: "a..b/.github", want: "a..b/.github"},
		"Empty":      {reason: "no path", path: ""},
		"Root":       {reason: "the root is the repository itself", path: "."},
		"Absolute":   {reason: "out of the tree", path: "/etc"},
		"Up":         {reason: "out of the tree", path: "a/../../b"},
		"UpInside":   {reason: "Git refuses it as well", path: "a/../b"},
		"Git":        {reason: "Git's own folder", path: ".git/hooks"},
		"GitCase":    {reason: "the same on a Mac", path: "a/.GIT/hooks"},
		"GitShort":   {reason: "the same on Windows", path: "GIT~1/hooks"},
		"GitDots":    {reason: "the same on Windows", path: ".git. ./hooks"},
		"GitHidden":  {reason: "the same on a Mac, with a rune that it leaves out", path: ".g\u200cit/hooks"},
		"Backslash":  {reason: "a way out on Windows", path: `a\..\..\b`},
		"Drive":      {reason: "a way out on Windows", path: "c:/x"},
		"Stream":     {reason: "Git's own folder on Windows", path: ".git::$INDEX_ALLOCATION/x"},
		"Dash":       {reason: "an option", path: "-u./payload"},
		"DashInside": {reason: "an option", path: "a/--exec"},
		"Control":    {reason: "a path that plays with terminals", path: "a\x1b[2Jb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := modulePath(tc.path)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%s: got %q, %v", tc.reason, got, err)
			}
		})
	}
}

func TestModuleURLs(t *testing.T) {
	cases := map[string]struct {
		reason, super, raw, want string // want empty: refused
	}{
		"HTTPS":         {reason: "another server", super: "https://a/x", raw: "https://b/y.git", want: "https://b/y.git"},
		"SSH":           {reason: "another server", super: "https://a/x", raw: "ssh://git@b:22/y", want: "ssh://git@b:22/y"},
		"SCP":           {reason: "the form that git clone takes", super: "https://a/x", raw: "git@b:team/y.git", want: "ssh://git@b/team/y.git"},
		"Sibling":       {reason: "relative to the repository", super: "https://a/team/x.git", raw: "../y.git", want: "https://a/team/y.git"},
		"OtherTeam":     {reason: "relative to the repository", super: "https://a/team/x.git", raw: "../../other/y", want: "https://a/other/y"},
		"Below":         {reason: "relative to the repository", super: "https://a/team/x", raw: "./y", want: "https://a/team/x/y"},
		"RelativeSSH":   {reason: "user and port stay", super: "ssh://git@a:2222/team/x", raw: "../y", want: "ssh://git@a:2222/team/y"},
		"AboveRoot":     {reason: "a server has nothing above its root", super: "https://a/x", raw: "../../y"},
		"Local":         {reason: "the machine's own disk", super: "https://a/x", raw: "file:///y"},
		"LocalPath":     {reason: "the machine's own disk", super: "https://a/x", raw: "/y"},
		"LocalRelative": {reason: "the machine's own disk", super: "file:///a/x", raw: "../y"},
		"Bare":          {reason: "a folder beside, for Git", super: "https://a/x", raw: "y"},
		"Program":       {reason: "transports that run programs", super: "https://a/x", raw: "ext::sh -c id"},
		"GitProtocol":   {reason: "no encryption, no credentials", super: "https://a/x", raw: "git://b/y"},
		"Dash":          {reason: "an option", super: "https://a/x", raw: "-u/bin/sh"},
		"DashUser":      {reason: "an option", super: "https://a/x", raw: "ssh://-x@b/y"},
		"DashPath":      {reason: "an option", super: "https://a/x", raw: "ssh://b/-y"},
		"DashSCP":       {reason: "an option", super: "https://a/x", raw: "b:-y"},
		"DashRelative":  {reason: "an option", super: "ssh://a/x", raw: "../-y"},
		"Password":      {reason: "credentials in the open", super: "https://a/x", raw: "https://u:p@b/y"},
		"Token":         {reason: "credentials in the open", super: "https://a/x", raw: "https://token@b/y"},
		"Query":         {reason: "no path", super: "https://a/x", raw: "../y?z"},
		"Empty":         {reason: "no URL", super: "https://a/x", raw: ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			super, err := parseURL(tc.super, true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := moduleRemote(tc.raw, super)
			if (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
		})
	}
}

func FuzzGitmodules(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("[submodule \"a\"]\n\tpath = a\n\turl = ../b\n\tupdate = !id\n"))
	f.Add([]byte("[submodule \"a\"]\npath=a\n[submodule \"b\"]\npath=./a/\n"))
	f.Add([]byte("[submodule \"..\"]\npath=.git/hooks\nurl=-x\n"))
	super := &remote{scheme: "https", host: "a", path: "/b/c"}
	f.Fuzz(func(t *testing.T, text []byte) {
		mods, err := parseModules(text)
		if err != nil {
			return
		}
		for _, m := range mods {
			if strings.HasPrefix(m.path, "/") || strings.HasPrefix(m.path, "-") || strings.Contains("/"+strings.ToLower(m.path)+"/", "/.git/") || strings.Contains("/"+m.path+"/", "/../") {
				t.Errorf("the path %q passed", m.path)
			}
			r, err := moduleRemote(m.url, super)
			if err != nil {
				continue
			}
			if r.scheme == "file" || r.password != "" || r.host == "" || strings.HasPrefix(r.host, "-") {
				t.Errorf("the URL %q passed as %v", m.url, r)
			}
		}
	})
}
