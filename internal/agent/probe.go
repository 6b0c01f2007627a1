package agent

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
)

// Probe tries whether an agent with these options could work in a cluster, and changes nothing.
func Probe(ctx context.Context, cfg *rest.Config, opts Options) (probe.Report, error) {
	promise, err := probe.Carried(opts.needed()...)
	if err != nil {
		return probe.Report{}, fmt.Errorf("read what the agent is installed with: %w", err)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = userAgent
	return probe.Run(ctx, cfg, probe.Options{Namespace: opts.LeaseNamespace, Namespaces: opts.Namespaces, Promise: promise}), nil
}
