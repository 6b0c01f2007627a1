package duty_test

import (
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard()) // electors tell of each look
	labtest.Main(m)
}
