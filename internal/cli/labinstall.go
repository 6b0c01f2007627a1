package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab"
)

// labInstall is the Slipway that a lab is to have.
type labInstall struct {
	app       *App
	grant     []string
	keepGrant bool // as it is in the lab
	timeout   time.Duration
	done      bool
}

// settle ends an up: lab.Up installs into a new lab only, and what has become of that since is seen here.
func (i *labInstall) settle(ctx context.Context, l *lab.Lab, bare bool, progress lab.Progress) error {
	if bare {
		return i.app.warnOfInstalled(ctx, l)
	}
	if i.done {
		return nil
	}
	if l.Nodes() != lab.Real {
		return i.install(ctx, l)
	}
	done := progress.Step("Slipway")
	err := i.install(ctx, l)
	done(err)
	if err != nil {
		return fmt.Errorf("lab %s is up, its Slipway isn't: %w", l.Name(), err)
	}
	return nil
}

// install brings this very binary into the lab and has it run there; what is so already stays untouched. Where pods don't run,
// there is nothing to install.
func (i *labInstall) install(ctx context.Context, l *lab.Lab) error {
	a := i.app
	if l.Nodes() != lab.Real {
		a.warnf("Slipway isn't installed in the lab: its nodes are %s and run no containers. Run it beside the cluster:\n"+
			"  slipway agent --lab %s", l.Nodes(), l.Name())
		i.done = true
		return nil
	}
	ref, err := a.loadSelf(ctx, l)
	if err != nil {
		return err
	}
	c, err := labCluster(l)
	if err != nil {
		return err
	}
	if err := c.awaitEndOfNamespace(ctx, i.timeout); err != nil {
		return err
	}
	grant := i.grant
	if i.keepGrant {
		if grant, err = c.grants(ctx); err != nil {
			return err
		}
	}
	objs, err := renderInstall(deploy.Options{Overlay: labOverlay, Components: grant, Image: ref})
	if err != nil {
		return err
	}
	quiet := newApp(Streams{In: a.In, Out: changesOnly{a.Err}, Err: a.Err})
	err = quiet.install(ctx, c, objs, installOptions{wait: true, timeout: i.timeout})
	i.done = err == nil
	return err
}

// labCluster opens a lab as its administrator.
func labCluster(l *lab.Lab) (*cluster, error) {
	config, err := l.Config()
	if err != nil {
		return nil, err
	}
	return newCluster(config, deploy.Namespace)
}

// grants returns what Slipway in the cluster may do beyond its own roles.
func (c *cluster) grants(ctx context.Context) ([]string, error) {
	var granted []string
	for _, one := range []struct {
		grant, name string
		by          client.Object
	}{
		{deploy.ClusterAdmin, deploy.Agent + "-" + deploy.ClusterAdmin, &rbacv1.ClusterRoleBinding{}},
		{deploy.AnyModule, deploy.AnyModuleRole, &rbacv1.ClusterRole{}},
	} {
		switch err := c.Get(ctx, client.ObjectKey{Name: one.name}, one.by); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("read the agent's grants: %w", err)
		default:
			granted = append(granted, one.grant)
		}
	}
	return granted, nil
}

// awaitEndOfNamespace waits until what an uninstall has just deleted is gone: nothing can be made in a namespace that ends.
func (c *cluster) awaitEndOfNamespace(ctx context.Context, timeout time.Duration) error {
	err := wait.PollUntilContextTimeout(ctx, time.Second/4, timeout, true, func(ctx context.Context) (bool, error) {
		var namespace corev1.Namespace
		err := c.Get(ctx, client.ObjectKey{Name: deploy.Namespace}, &namespace)
		return apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("wait until the old namespace %s is gone: %w", deploy.Namespace, err)
	}
	return nil
}

// warnOfInstalled tells who wants a bare lab that it isn't one.
func (a *App) warnOfInstalled(ctx context.Context, l *lab.Lab) error {
	c, err := labCluster(l)
	if err != nil {
		return err
	}
	err = c.Get(ctx, client.ObjectKey{Namespace: deploy.Namespace, Name: deploy.Agent}, &appsv1.StatefulSet{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("look for Slipway in lab %s: %w", l.Name(), err)
	}
	a.warnf("lab %[1]s has Slipway in it, which --bare leaves as it is; 'slipway uninstall --lab %[1]s --yes' removes it", l.Name())
	return nil
}

// changesOnly drops the lines of an install about what it found as it should be.
type changesOnly struct{ io.Writer }

func (w changesOnly) Write(line []byte) (int, error) {
	if bytes.HasSuffix(line, []byte(" unchanged\n")) {
		return len(line), nil
	}
	return w.Writer.Write(line)
}

// loadSelf makes an image of the running binary, brings it into the lab's registry and returns its name. The tag is made of the
// digest: another binary is another image.
func (a *App) loadSelf(ctx context.Context, l *lab.Lab) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this binary: %w", err)
	}
	img, err := image.Build(image.Spec{Binary: self, CACerts: hostCACerts()})
	if err != nil {
		return "", fmt.Errorf("make an image of %s: %w", filepath.Base(self), err)
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("make an image of %s: %w", filepath.Base(self), err)
	}
	tag, err := image.ParseTag(deploy.Image + ":" + digest.Hex[:12])
	if err != nil {
		return "", err
	}
	if _, err := image.Push(ctx, l.Registry(), tag, img); err != nil {
		return "", err
	}
	return image.FullName(tag), nil
}

// hostCACerts is the host's bundle of certificate authorities, so that the agent trusts the same Git servers; empty if there is
// none.
func hostCACerts() string {
	const bundle = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(bundle); err != nil {
		return ""
	}
	return bundle
}
