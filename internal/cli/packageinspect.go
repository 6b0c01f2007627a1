package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func newPackageInspect(app *App) *cobra.Command {
	var (
		registry registryFlags
		render   renderFlags
		key      string
	)
	cmd := &cobra.Command{
		Use:   "inspect oci://HOST/PATH:VERSION|FOLDER|FILE",
		Short: "Say what a package is, needs and brings",
		Long: `Say of a package what it is, what it needs, what it asks for, and what it would bring: its objects by kind, its images, its Interpreters.
With --key the signature of a package in a registry is checked, as a Module with spec.verify.keysRef has it checked.`,
		Example: `  slipway package inspect oci://registry.example.com/packages/runner:1.4.2 --key cosign.pub
  slipway package inspect runner -o yaml`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&key, "key", "", "file with cosign's public key; it must have signed the package")
	render.add(cmd)
	registry.add(cmd)
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report, err := inspect(cmd.Context(), args[0], registry, render)
		if err != nil {
			return err
		}
		if key != "" {
			if report.SignedBy, err = signedBy(cmd.Context(), args[0], report.Digest, key, registry); err != nil {
				return err
			}
		}
		return present(app, out, report, app.printInspected)
	}
	return cmd
}

// inspected is what is told of a package.
type inspected struct {
	Digest    string            `json:"digest"`
	SignedBy  string            `json:"signedBy,omitempty"`
	Published *time.Time        `json:"published,omitempty"`
	Package   packages.Manifest `json:"package"`
	// Objects by kind, as it is rendered with its own settings and --values; empty where Problem says why it can't be.
	Objects      map[string]int `json:"objects,omitempty"`
	Problem      string         `json:"problem,omitempty"`
	Images       []string       `json:"images,omitempty"`
	Hooks        []string       `json:"hooks,omitempty"`
	Interpreters []string       `json:"interpreters,omitempty"`
}

func inspect(ctx context.Context, what string, registry registryFlags, render renderFlags) (*inspected, error) {
	shop, err := newWorkshop()
	if err != nil {
		return nil, err
	}
	defer shop.close()
	f, err := shop.find(ctx, what, registry)
	if err != nil {
		return nil, err
	}
	defer f.close()
	report := &inspected{Digest: f.desc.Digest.String(), Package: f.Manifest}
	if !f.pkg.Published.IsZero() {
		report.Published = &f.pkg.Published
	}
	for _, i := range f.pkg.Interpreters {
		report.Interpreters = append(report.Interpreters, i.Name+" ("+i.Definition.Target.String()+")")
	}
	r, err := render.rendering(f.Manifest)
	if err != nil {
		return nil, err
	}
	rendered, err := f.pkg.RenderAll(ctx, r)
	if err != nil {
		report.Problem = err.Error()
		return report, nil
	}
	report.Objects, report.Hooks = map[string]int{}, rendered.Hooks
	for _, o := range rendered.Objects {
		report.Objects[o.GetKind()]++
	}
	report.Images = packages.Images(rendered.Objects)
	for _, image := range f.Manifest.Images {
		if !slices.Contains(report.Images, image) {
			report.Images = append(report.Images, image)
		}
	}
	return report, nil
}

// signedBy has the signature of a package in a registry checked.
func signedBy(ctx context.Context, what, digest, key string, registry registryFlags) (string, error) {
	at, err := oci.ParseLocation(what)
	if err != nil {
		return "", usagef("--key is for packages in a registry: signatures are there")
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return "", fmt.Errorf("read --key: %w", err)
	}
	auth, err := registry.auth()
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(filepath.Base(key), ".pub") + ".pub"
	signer, err := packages.CheckSignature(ctx, at.URL, v1alpha1.Digest(digest), auth, registry.insecure, &packages.Verification{Keys: map[string][]byte{name: text}})
	if err != nil {
		return "", registryError(err)
	}
	return signer, nil
}

func (a *App) printInspected(r *inspected) {
	m := r.Package
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(a.Out, "%-13s%s\n", name, text)
		}
	}
	line("package", "%s", a.out.bold(m.Name+" "+m.Version))
	line("", "%s", m.Description)
	line("digest", "%s", r.Digest)
	line("signed by", "%s", r.SignedBy)
	if r.Published != nil {
		line("published", "%s", r.Published.UTC().Format(time.RFC3339))
	}
	line("namespace", "%s", m.Namespace)
	line("kubernetes", "%s", m.KubeVersion)
	line("slipway", "%s", m.Agent)
	line("requires", "%s", requirementWords(m.Requires))
	line("conflicts", "%s", requirementWords(m.Conflicts))
	declared, why := m.Reversible("")
	line("rollback", "%s", map[bool]string{true: "can be taken back " + rangeWords(m.Rollback), false: why}[declared])
	a.printRules("asks for", "in the cluster", m.Permissions.ClusterRules)
	for _, n := range m.Permissions.NamespaceRules {
		a.printRules("asks for", "in "+n.Namespace, n.Rules)
	}
	kinds := make([]string, 0, len(r.Objects))
	for kind, n := range r.Objects {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	slices.SortFunc(kinds, func(a, b string) int { return strings.Compare(a[strings.Index(a, " "):], b[strings.Index(b, " "):]) })
	line("objects", "%s", strings.Join(kinds, ", "))
	if r.Problem != "" {
		line("objects", "%s", a.out.warn("not told: ")+r.Problem)
	}
	for _, image := range r.Images {
		line("image", "%s", image)
	}
	line("interprets", "%s", strings.Join(r.Interpreters, ", "))
	line("left out", "%s", strings.Join(r.Hooks, ", "))
}

func (a *App) printRules(name, where string, rules []rbacv1.PolicyRule) {
	for _, rule := range permit.Compact(rules) {
		fmt.Fprintf(a.Out, "%-13s%s, %s\n", name, permit.Words(rule), where)
	}
}

func requirementWords(all []packages.Requirement) string {
	words := make([]string, 0, len(all))
	for _, r := range all {
		words = append(words, strings.TrimSpace(r.Name+" "+r.Version))
	}
	return strings.Join(words, ", ")
}

func rangeWords(r *packages.Rollback) string {
	if r == nil || r.To == "" {
		return "to any version"
	}
	return "to " + r.To
}
