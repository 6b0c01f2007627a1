package lab

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFolderOfLabs(t *testing.T) {
	tests := map[string]struct {
		reason string
		env    map[string]string
		want   string
	}{
		"Own":     {"SLIPWAY_HOME is for those who want it elsewhere", map[string]string{"SLIPWAY_HOME": "/a", "XDG_DATA_HOME": "/b"}, "/a/labs"},
		"XDG":     {"else the user's data folder", map[string]string{"XDG_DATA_HOME": "/b", "HOME": "/c"}, "/b/slipway/labs"},
		"Default": {"which is in the home folder by default", map[string]string{"HOME": "/c"}, "/c/.local/share/slipway/labs"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"SLIPWAY_HOME", "XDG_DATA_HOME", "HOME"} {
				t.Setenv(variable, tc.env[variable])
			}
			if got, err := folder(); err != nil || got != tc.want {
				t.Errorf("%s: got %s, %v, want %s", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestRecordIsKept(t *testing.T) {
	dir := t.TempDir()
	want := record{Name: "one", Nodes: Real, Workers: 2, Slot: 7, Ports: ports{APIServer: 1}, Kubernetes: "/bin/k", Complete: true}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := readRecord(dir); err != nil || got != want {
		t.Errorf("wrote %+v, read %+v, %v", want, got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, recordFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readRecord(dir); err == nil {
		t.Error("half a record was taken for a whole one")
	}
}

func TestLabsOfTwoFoldersAreToldApart(t *testing.T) {
	one, two := &Lab{dir: "/a/labs/same"}, &Lab{dir: "/b/labs/same"}
	if one.id() == two.id() || one.cgroup() == two.cgroup() {
		t.Errorf("both are %s: the end of one would be the end of the other", one.id())
	}
}

func TestPortsOfOtherLabsAreNotTaken(t *testing.T) {
	taken := record{}
	var given []int
	for range 20 {
		port, err := freePort([]record{taken})
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, port)
		taken.Ports.APIServer = port
	}
	for i := 1; i < len(given); i++ {
		if given[i] == given[i-1] {
			t.Errorf("port %d was given although another lab has it", given[i])
		}
	}
	if slices.Contains(given, 0) {
		t.Errorf("got %v", given)
	}
}
