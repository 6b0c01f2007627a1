package agent

import (
	"cmp"
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/module/author"
	"github.com/slipway-dev/slipway/internal/module/builtin"
)

// unversioned is the version of a build that has none.
const unversioned = "devel"

// beginBuiltin sets up what states how the parts of Slipway are.
func (m *modules) beginBuiltin(mgr manager.Manager, all cache.Cache, direct client.Client, changed func()) error {
	parts := m.builtin
	parts.Modules, parts.Direct, parts.Events, parts.Changed, parts.Version = all, direct, m.events, changed, cmp.Or(m.opts.Version, unversioned)
	parts.Metrics = m.opts.moduleMetrics
	if m.opts.driver != nil {
		parts.Agent, parts.Images = replaceable{m.opts.driver}, m.shelf
		parts.Guarded = func(ctx context.Context, m *v1alpha1.Module) (string, error) { return author.Guarded(ctx, direct, m) }
	}
	return builtin.New(parts).SetUp(mgr, all)
}

// replaceable is the agent as the module agent sees it.
type replaceable struct{ driver *upgrade.Driver }

// State implements builtin.Agent.
func (r replaceable) State(ctx context.Context) (builtin.State, error) {
	var s builtin.State
	var err error
	if s.Running, err = r.driver.Running(ctx); err != nil {
		return s, err
	}
	if s.Attempts, err = r.driver.Attempts(ctx); err != nil {
		return s, err
	}
	s.Advises, err = r.driver.Advises(ctx, s.Running)
	return s, err
}

// Begin implements builtin.Agent.
func (r replaceable) Begin(ctx context.Context, b builtin.Beginning) error {
	_, err := r.driver.Begin(ctx, upgrade.BeginOptions{Name: b.Name, Image: b.Image, Version: b.Version, Retry: b.Retry})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case errors.Is(err, upgrade.ErrUsage):
		return &builtin.Refused{Err: err}
	}
	return err
}

// AskBack implements builtin.Agent.
func (r replaceable) AskBack(ctx context.Context, u *v1alpha1.AgentUpgrade) error {
	return r.driver.AskBack(ctx, u)
}
