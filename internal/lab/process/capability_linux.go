package process

import (
	"os"
	"strconv"
	"strings"
)

// hasCapability reports whether this process has the capability of that number (capabilities(7)) in effect.
func hasCapability(number int) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "CapEff:"); ok {
			effective, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && effective&(1<<number) != 0
		}
	}
	return false
}
