package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/deploy"
)

// finding is the answer to one question of a check.
type finding struct {
	Check   string `json:"check"`
	OK      bool   `json:"ok"`
	Message string `json:"message"`
}

func newCheck(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that Slipway works in a cluster",
		Long: `Check what Slipway needs and what there is of it: the cluster answers, the kinds are there, the agent runs, and nobody
else works on the same objects. It ends with 1 when something doesn't hold, and says what to do.`,
		Example: `  slipway check
  slipway check -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := app.connect()
		if err != nil {
			return err
		}
		findings, err := c.check(cmd.Context())
		if err != nil {
			return err
		}
		if err := present(app, out, findings, app.printFindings); err != nil {
			return err
		}
		for _, f := range findings {
			if !f.OK {
				return quietError{fmt.Errorf("%s: %s", f.Check, f.Message)}
			}
		}
		return nil
	}
	return cmd
}

func (a *App) printFindings(findings []finding) {
	for _, f := range findings {
		mark := a.out.good("✔")
		if !f.OK {
			mark = a.out.bad("✗")
		}
		fmt.Fprintf(a.Out, "%s %s: %s\n", mark, f.Check, f.Message)
	}
}

// check asks one question after the other. An error means that the cluster couldn't be asked.
func (c *cluster) check(ctx context.Context) ([]finding, error) {
	var findings []finding
	for _, ask := range []func(context.Context) (finding, error){
		c.checkServer, c.checkKinds, c.checkAgent, c.checkGrant, c.checkFlux,
	} {
		found, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found)
	}
	return findings, nil
}

func (c *cluster) checkServer(context.Context) (finding, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return finding{}, fmt.Errorf("connect to %s: %w", c.config.Host, err)
	}
	version, err := disco.ServerVersion()
	if err != nil {
		return finding{}, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	return finding{"cluster", true, "Kubernetes " + version.GitVersion + " answers"}, nil
}

func (c *cluster) checkKinds(ctx context.Context) (finding, error) {
	installed, err := everythingInstalled()
	if err != nil {
		return finding{}, err
	}
	var missing, served []string
	for _, k := range kinds() {
		if !slices.ContainsFunc(installed, func(o *unstructured.Unstructured) bool { return o.GetName() == k.resource+"."+k.group }) {
			continue // an install doesn't bring it
		}
		served = append(served, k.name)
		var crd apiextensionsv1.CustomResourceDefinition
		name := k.resource + "." + k.group
		err := c.Get(ctx, client.ObjectKey{Name: name}, &crd)
		if apierrors.IsNotFound(err) {
			missing = append(missing, k.name)
			continue
		}
		if err != nil {
			return finding{}, fmt.Errorf("read CRD %s: %w", name, err)
		}
	}
	if len(missing) > 0 {
		return finding{"kinds", false, strings.Join(missing, ", ") + " missing; 'slipway install' brings them"}, nil
	}
	return finding{"kinds", true, strings.Join(served, ", ")}, nil
}

func (c *cluster) checkAgent(ctx context.Context) (finding, error) {
	var agent appsv1.StatefulSet
	name, err := c.workingSlot(ctx)
	if err != nil {
		return finding{}, err
	}
	err = c.Get(ctx, client.ObjectKey{Namespace: deploy.Namespace, Name: name}, &agent)
	if apierrors.IsNotFound(err) {
		return c.checkProcess(ctx)
	}
	if err != nil {
		return finding{}, fmt.Errorf("read StatefulSet %s: %w", name, err)
	}
	image := agent.Spec.Template.Spec.Containers[0].Image
	if !rolledOut(&agent) {
		message := fmt.Sprintf("%d ready of image %s", agent.Status.ReadyReplicas, image)
		if why := c.podTroubles(ctx); why != "" {
			message += ": " + why
		}
		return finding{"agent", false, message}, nil
	}
	return finding{"agent", true, fmt.Sprintf("%d ready of image %s", agent.Status.ReadyReplicas, image)}, nil
}

// agentPatience is how long an agent may take to accept a connection.
const agentPatience = 3 * time.Second

// checkProcess looks for an agent that runs as a process, outside of the cluster: nothing in the cluster says so but the addresses at
// which its sources have their artifacts, and there it answers.
func (c *cluster) checkProcess(ctx context.Context) (finding, error) {
	hosts := map[string]bool{}
	for _, k := range sourceKinds() {
		items, err := k.list(ctx, c)
		if apimeta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return finding{}, err
		}
		for _, item := range items {
			source, ok := item.(interface{ GetArtifact() *meta.Artifact })
			if !ok || source.GetArtifact() == nil {
				continue
			}
			address, err := url.Parse(source.GetArtifact().URL)
			if err != nil {
				continue
			}
			if _, _, pod := podOf(address.Hostname()); !pod && address.Port() != "" {
				hosts[address.Host] = true
			}
		}
	}
	var silent []string
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		conn, err := (&net.Dialer{Timeout: agentPatience}).DialContext(ctx, "tcp", host)
		if err != nil {
			silent = append(silent, host)
			continue
		}
		_ = conn.Close() // nothing was sent
		return finding{"agent", true, "runs as a process that has its artifacts at " + host + "; it logs to its own terminal"}, nil
	}
	if len(silent) > 0 {
		return finding{"agent", false, "isn't installed, and none that ran as a process answers at " + strings.Join(silent, ", ") +
			"; 'slipway agent' starts it on this machine, 'slipway install' puts it into the cluster"}, nil
	}
	return finding{"agent", false, "isn't installed; 'slipway install' does it, 'slipway agent' runs it on this machine"}, nil
}

func (c *cluster) checkGrant(ctx context.Context) (finding, error) {
	err := c.Get(ctx, client.ObjectKey{Name: deploy.Agent + "-" + deploy.ClusterAdmin}, &rbacv1.ClusterRoleBinding{})
	if apierrors.IsNotFound(err) {
		return finding{"permissions", true, "narrow: a Kustomization is applied as the service account it names"}, nil
	}
	if err != nil {
		return finding{}, fmt.Errorf("read the agent's grants: %w", err)
	}
	return finding{"permissions", true, "wide: the agent may apply anything (--grant cluster-admin)"}, nil
}

func (c *cluster) checkFlux(ctx context.Context) (finding, error) {
	running, err := c.fluxControllers(ctx)
	if err != nil {
		return finding{}, err
	}
	if len(running) > 0 {
		return finding{"alone", false, "Flux works on the same kinds: " + strings.Join(running, ", ") +
			"; scale those two to zero, or uninstall Slipway"}, nil
	}
	return finding{"alone", true, "no other controller of these kinds was found"}, nil
}
