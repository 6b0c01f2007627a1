package upgrade_test

import (
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard()) // electors tell of each look
	ctrl.SetLogger(logr.Discard())
	labtest.Main(m)
}
