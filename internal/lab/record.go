package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/configfile"
)

// record is what a lab remembers about itself: what was asked for and what was found for it on this machine.
type record struct {
	Name    string `json:"name"`
	Nodes   Nodes  `json:"nodes"`
	Workers int    `json:"workers"`
	// Slot is the lab's block of addresses; real nodes only.
	Slot    int       `json:"slot"`
	Ports   ports     `json:"ports"`
	Created time.Time `json:"created"`
	// Version of Kubernetes, with a leading v.
	Version string `json:"version"`
	// Kubernetes and Addons are the paths of the executables.
	Kubernetes string `json:"kubernetes"`
	Addons     string `json:"addons,omitempty"`
	// Complete says that the cluster has been up once, Installed that Options.Install has succeeded.
	Complete  bool `json:"complete"`
	Installed bool `json:"installed"`
}

// ports are those that were free when the lab was made. It keeps them for life, as kubeconfigs have been handed out.
type ports struct {
	APIServer int `json:"apiServer"`
	Registry  int `json:"registry,omitempty"`
	DNS       int `json:"dns,omitempty"`
	Metrics   int `json:"metrics,omitempty"`
}

const recordFile = "lab.json"

func readRecord(dir string) (record, error) {
	var r record
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w; slipway down removes the lab", filepath.Join(dir, recordFile), err)
	}
	return r, nil
}

func (r record) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the lab's record: %w", err)
	}
	return configfile.Write(filepath.Join(dir, recordFile), append(data, '\n'), 0o644)
}

// folder is where all labs of this user are: SLIPWAY_HOME, else slipway in the user's data folder (XDG base directories).
func folder() (string, error) {
	home := os.Getenv("SLIPWAY_HOME")
	if home == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("find a folder for labs: %w; set SLIPWAY_HOME", err)
			}
			data = filepath.Join(user, ".local", "share")
		}
		home = filepath.Join(data, "slipway")
	}
	abs, err := filepath.Abs(filepath.Join(home, "labs"))
	if err != nil {
		return "", fmt.Errorf("find a folder for labs: %w", err)
	}
	return abs, nil
}

// names returns the labs that have a record.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() && validName.MatchString(entry.Name()) {
			found = append(found, entry.Name())
		}
	}
	return found, nil
}
