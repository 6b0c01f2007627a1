package pack

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"

	"helm.sh/helm/v4/pkg/ignore"
)

// ignoreFile says which files of a chart's folder aren't part of it. In a packed chart it means nothing: they were left out then.
const ignoreFile = ".helmignore"

// withoutIgnored is the folder of a chart as 'helm package' would pack it.
func withoutIgnored(folder fs.FS) (fs.FS, error) {
	text, err := fs.ReadFile(folder, ignoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return folder, nil
	}
	if err != nil {
		return nil, err
	}
	rules, err := ignore.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, invalid(path.Join(chartDir, ignoreFile), "", "%v", err)
	}
	rules.AddDefaults()
	return ignoring{folder, rules}, nil
}

// ignoring is a folder without some of its files.
type ignoring struct {
	fs.FS

	rules *ignore.Rules
}

// ReadDir lists a folder.
func (i ignoring) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(i.FS, name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool {
		info, err := e.Info()
		return err == nil && i.rules.Ignore(path.Join(name, e.Name()), info)
	}), err
}
