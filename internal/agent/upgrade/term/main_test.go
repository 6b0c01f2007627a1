package term_test

import (
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
