package upgrade_test

import (
	"testing"

	"k8s.io/klog/v2"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	klog.LogToStderr(false) // electors tell of each look
	labtest.Main(m)
}
