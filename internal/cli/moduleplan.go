package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/supply"
)

// planOptions are the flags of module plan.
type planOptions struct {
	file   string
	stored bool
	trust  trustFlags
}

func newModulePlan(app *App) *cobra.Command {
	var how planOptions
	cmd := &cobra.Command{
		Use:   "plan NAME | --file FILE",
		Short: "Say what installing or upgrading a module would do, and what stands in the way",
		Long: `Find out what an attempt to bring a Module to what its spec wants would do, without writing anything: which version, which
objects with which fields, which permissions, what changed definitions of kinds do to objects that exist, whether it can be taken
back; and all problems that have to be solved first, with what to do about each. docs/modules-plan.md explains the checks.

The Module is one of the cluster, or one in a file that isn't there yet; - is the standard input. The plan is made here and now, with
your own rights and your own way to the source: what you may not see is told as a problem, which the agent may not have. --stored
shows the plan that the agent has made last.

It ends with 1 if there are problems.`,
		Example: `  # What would happen?
  slipway module plan runner

  # Before the Module is written
  slipway module plan --file runner.yaml

  # What has the agent found?
  slipway module plan runner --stored

  # For a script
  slipway module plan runner -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeModule(app),
	}
	flags := cmd.Flags()
	flags.StringVarP(&how.file, "file", "f", "", "file with the Module, in place of one of the cluster")
	flags.BoolVar(&how.stored, "stored", false, "show the plan that the agent has made last")
	how.trust.add(flags)
	cmd.MarkFlagsMutuallyExclusive("file", "stored")
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (how.file == "") == (len(args) == 0) {
			return usagef("give either the name of a Module, or --file")
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		p, err := app.modulePlan(cmd.Context(), c, args, how)
		if err != nil {
			return err
		}
		if err := present(app, out, p, app.printPlan); err != nil {
			return err
		}
		if n := len(p.Problems); n > 0 {
			return quietError{fmt.Errorf("%d problems", n)}
		}
		return nil
	}
	return cmd
}

func (a *App) modulePlan(ctx context.Context, c *cluster, args []string, how planOptions) (*plan.Plan, error) {
	m, err := a.moduleFor(ctx, c, args, how)
	if err != nil {
		return nil, err
	}
	store := revision.NewStore(c, deploy.Namespace)
	if how.stored {
		return storedPlan(ctx, store, m)
	}
	trusted, err := how.trust.read()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "slipway-plan-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for packages: %w", err)
	}
	defer os.RemoveAll(dir)
	planner, end, err := c.planner(ctx, dir, store, trusted)
	if err != nil {
		return nil, err
	}
	defer end()
	p, err := planner.Plan(ctx, m, time.Time{})
	var unavailable *plan.Unavailable
	if errors.As(err, &unavailable) {
		return nil, fmt.Errorf("can't plan now: %w", unavailable.Err)
	}
	return p, err
}

// moduleFor reads the Module that is meant.
func (a *App) moduleFor(ctx context.Context, c *cluster, args []string, how planOptions) (*v1alpha1.Module, error) {
	if how.file == "" {
		return c.module(ctx, args[0])
	}
	m := &v1alpha1.Module{}
	content, err := a.readInterpreted(how.file)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(content, m); err != nil {
		return nil, fmt.Errorf("read the Module in %s: %w", how.file, err)
	}
	if m.Kind != v1alpha1.ModuleKind || m.APIVersion != v1alpha1.GroupVersion.String() || m.Name == "" {
		return nil, fmt.Errorf("%s has no Module of %s in it, or one without a name", how.file, v1alpha1.GroupVersion)
	}
	// The API server checks it as if it were written, and fills in the defaults.
	live := &v1alpha1.Module{}
	switch err := c.Get(ctx, client.ObjectKeyFromObject(m), live); {
	case apierrors.IsNotFound(err):
		m.ObjectMeta = metav1.ObjectMeta{Name: m.Name, Labels: m.Labels, Annotations: m.Annotations}
		checked := m.DeepCopy()
		if err := c.Create(ctx, checked, client.DryRunAll); err != nil {
			return nil, fmt.Errorf("the API server refuses the Module in %s: %w", how.file, err)
		}
		m.Spec, m.Generation, m.Status = checked.Spec, 1, v1alpha1.ModuleStatus{}
	case err != nil:
		return nil, err
	default:
		changed := live.DeepCopy()
		changed.Spec, changed.Labels, changed.Annotations = m.Spec, m.Labels, m.Annotations
		if err := c.Update(ctx, changed, client.DryRunAll); err != nil {
			return nil, fmt.Errorf("the API server refuses the Module in %s: %w", how.file, err)
		}
		m.Spec, m.Generation, m.Status = changed.Spec, changed.Generation, live.Status
		m.ObjectMeta = metav1.ObjectMeta{Name: m.Name, Generation: changed.Generation}
	}
	return m, nil
}

// storedPlan reads the plan that the status names.
func storedPlan(ctx context.Context, store *revision.Store, m *v1alpha1.Module) (*plan.Plan, error) {
	if m.Status.Plan == nil || m.Status.Plan.Content == nil {
		return nil, fmt.Errorf("the agent hasn't made a plan for Module %s yet; without --stored one is made now", m.Name)
	}
	content, err := store.Get(ctx, *m.Status.Plan.Content)
	if err != nil {
		return nil, fmt.Errorf("read the plan of Module %s: %w", m.Name, err)
	}
	p := &plan.Plan{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("read the plan of Module %s: %w", m.Name, err)
	}
	return p, nil
}

// planner makes plans as the person who calls.
func (c *cluster) planner(ctx context.Context, dir string, store *revision.Store, from trust) (*plan.Planner, func(), error) {
	clients, err := kube.NewClients(c.config)
	if err != nil {
		return nil, nil, err
	}
	registry, err := c.interpreters(ctx)
	if err != nil {
		return nil, nil, err
	}
	packages, err := supply.New(supply.Settings{
		Reader: c, Namespace: deploy.Namespace, Dir: dir, AllowFile: true, Insecure: from.Insecure, Verify: from.Verify, TrustedRoot: from.TrustedRoot,
	})
	if err != nil {
		return nil, nil, err
	}
	return plan.New(plan.Settings{
		Clients: clients, Client: c, Revisions: store, Packages: packages, Images: packages.Images(),
		Assess: registry.Assess, Agent: permit.Agent{Namespace: deploy.Namespace, Accounts: []string{deploy.Agent}}, Version: ownVersion(),
	}), packages.Close, nil
}
