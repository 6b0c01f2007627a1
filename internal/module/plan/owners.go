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
	labels := o.GetLabels()
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
	keeper := kube.KeeperOf(o)
	switch keeper.Kind {
	case "":
		return owner{who: writerOf(o)}, true
	case kube.KeeperKustomization:
		return owner{who: keeper.String(), stop: "take it out of there, or suspend that, else the two of them change it back and forth"}, true
	case kube.KeeperHelmRelease:
		return owner{who: keeper.String(), stop: "suspend that, else the two of them change it back and forth"}, true
	case kube.KeeperHelm:
		return owner{who: keeper.String(), stop: "don't run helm upgrade or uninstall for it any more"}, true
	case kube.KeeperOLM:
		return owner{who: keeper.String(), stop: "remove the subscription"}, true
	default:
		return owner{who: keeper.String(), stop: "take it out of there, else the two of them change it back and forth"}, true
	}
}

// writerOf finds who has written an object that nobody keeps: a person before all others. Anybody may call themselves anything there; it is for
// words only.
func writerOf(o *unstructured.Unstructured) string {
	last := "somebody"
	for _, e := range o.GetManagedFields() {
		switch {
		case e.Subresource != "":
		case strings.HasPrefix(e.Manager, "kubectl"):
			return "a person (" + e.Manager + ")"
		case last == "somebody":
			last += " (" + e.Manager + ")"
		}
	}
	return last
}
