package configfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/configfile"
)

func TestSameContentIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	write := func(content string) time.Time {
		t.Helper()
		if err := configfile.Write(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Unix(1000, 0)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	write("one")
	if got := write("one"); !got.Equal(time.Unix(1000, 0)) {
		t.Error("a file with the same content was written again")
	}
	if got := write("two"); got.Equal(time.Unix(1000, 0)) {
		t.Error("a file with other content was not written")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "two" {
		t.Errorf("the file has %q, %v", data, err)
	}
}
