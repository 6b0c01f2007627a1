package plan

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// owner is whose an object in the cluster is.
type owner struct {
	// who in words: "Helm release web/shop".
	who string
	// never says that it isn't adopted even where the Module asks for it; why says why, and what to do.
	never string
	// stop says what has to be done at the owner's so that the two don't fight over the object. Empty: nothing.
	stop string
}

// owners finds the objects that belong to somebody else.
func owners(_ context.Context, d *draft) error {
	d.theirs = map[kube.Ref]owner{}
	for _, c := range d.next {
		if c.Live == nil {
			continue
		}
		o, theirs := d.ownerOf(c.Live)
		if !theirs {
			continue
		}
		d.theirs[c.Ref.Unversioned()] = o
		object := c.Ref.Subject()
		switch {
		case o.never != "":
			d.problem(CheckOwners, object, "belongs to %s: %s", o.who, o.never)
		case !d.module.Spec.Adopt:
			d.problem(CheckOwners, object, "is in the cluster already and belongs to %s: set spec.adopt of the Module to take it over, or remove it there", o.who)
		default:
			d.adopt(object, o)
		}
	}
	return nil
}

// adopt notes that an object would be taken over.
func (d *draft) adopt(object string, o owner) {
	change := d.change(object)
	if change == nil {
		return
	}
	switch change.Action {
	case Unchanged:
		d.plan.Counts.Unchanged--
		d.plan.Counts.Update++
	case Create:
		d.plan.Counts.Create--
		d.plan.Counts.Update++
	}
	change.Action, change.Note = Adopt, "from "+o.who
	if o.stop != "" {
		change.Note += "; " + o.stop
	}
}

// ownerOf says whose an object is; false: the module's.
func (d *draft) ownerOf(o *unstructured.Unstructured) (owner, bool) {
	labels, notes := o.GetLabels(), o.GetAnnotations()
	if labels["app.kubernetes.io/part-of"] == "slipway" && (o.GetNamespace() == d.Agent.Namespace || o.GetNamespace() == "" && strings.HasPrefix(o.GetName(), "slipway-")) {
		return owner{who: "Slipway itself", never: "no package may bring or change it; leave the object out"}, true
	}
	if labels["kube-aggregator.kubernetes.io/automanaged"] != "" || labels["kubernetes.io/bootstrapping"] != "" {
		return owner{who: "Kubernetes itself", never: "the API server writes it, and everybody relies on it; ask the package's author for another name"}, true
	}
	if by := metav1.GetControllerOf(o); by != nil {
		return owner{who: by.Kind + " " + by.Name, never: "its controller writes it, and would change it back; change that object in place of this one"}, true
	}
	if module := labels[v1alpha1.GroupVersion.Group+"/name"]; module == d.module.Name {
		return owner{}, false
	} else if module != "" {
		return owner{who: "Module " + module, never: "two modules can't have the same object; leave it out of one of them"}, true
	}
	if d.known[kube.RefOf(o).Unversioned()] {
		return owner{}, false // its label was taken away, which is drift
	}
	switch {
	case labels["kustomize.toolkit.fluxcd.io/name"] != "":
		name := labels["kustomize.toolkit.fluxcd.io/namespace"] + "/" + labels["kustomize.toolkit.fluxcd.io/name"]
		return owner{who: "Kustomization " + name, stop: "take it out of there, or suspend that, else the two of them change it back and forth"}, true
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		name := labels["helm.toolkit.fluxcd.io/namespace"] + "/" + labels["helm.toolkit.fluxcd.io/name"]
		return owner{who: "HelmRelease " + name, stop: "suspend that, else the two of them change it back and forth"}, true
	case notes["argocd.argoproj.io/tracking-id"] != "":
		name, _, _ := strings.Cut(notes["argocd.argoproj.io/tracking-id"], ":")
		return owner{who: "Argo CD application " + name, stop: "take it out of there, else the two of them change it back and forth"}, true
	case notes["meta.helm.sh/release-name"] != "":
		return owner{who: "Helm release " + notes["meta.helm.sh/release-namespace"] + "/" + notes["meta.helm.sh/release-name"], stop: "don't run helm upgrade or uninstall for it any more"}, true
	case labels["olm.owner"] != "":
		return owner{who: "the Operator Lifecycle Manager (" + labels["olm.owner"] + ")", stop: "remove the subscription"}, true
	}
	return byFields(o), true
}

// byFields finds an owner in the record of who writes which field. Anybody may write anything there; it is for words only.
func byFields(o *unstructured.Unstructured) owner {
	var last string
	for _, e := range o.GetManagedFields() {
		switch manager := e.Manager; {
		case e.Subresource != "":
		case strings.HasPrefix(manager, "argocd"):
			return owner{who: "Argo CD", stop: "take it out of there, else the two of them change it back and forth"}
		case manager == "kustomize-controller", manager == "helm-controller":
			return owner{who: "Flux (" + manager + ")", stop: "take it out of there, else the two of them change it back and forth"}
		case manager == "helm", manager == "Helm":
			return owner{who: "Helm", stop: "don't run helm upgrade or uninstall for it any more"}
		case strings.HasPrefix(manager, "kubectl"):
			last = "a person (" + manager + ")"
		case last == "":
			last = "somebody (" + manager + ")"
		}
	}
	if last == "" {
		last = "somebody"
	}
	return owner{who: last}
}
