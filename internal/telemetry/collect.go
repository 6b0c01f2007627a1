package telemetry

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Facts are read when somebody scrapes: what is there, not what happened.
type Facts func(*Scrape)

// Observe has facts read at each scrape.
func (t *Telemetry) Observe(facts ...Facts) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts = append(t.facts, facts...)
}

// Unobserve drops all facts: what they are about is gone.
func (t *Telemetry) Unobserve() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts = nil
}

// descriptions are the series that are made while somebody scrapes.
type descriptions struct {
	reconcile, phase, queue, requests, found, corrected, contested, managed *prometheus.Desc
	resource, oldest, watches, watched, remotes                             *prometheus.Desc
	store, free, capacity                                                   *prometheus.Desc
}

func describe() descriptions {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	object := func(name, help string, more ...string) *prometheus.Desc {
		return desc(name, help, append([]string{"kind", "namespace", "name"}, more...)...)
	}
	return descriptions{
		reconcile: object(nameReconcile, "How long looking at an object took, whatever came of it."),
		phase:     object("slipway_object_phase_seconds_total", "Seconds that the phases of an object's reconciles took.", "phase"),
		queue:     object("slipway_object_queue_seconds_total", "Seconds that an object waited for a worker."),
		requests:  object("slipway_object_api_requests_total", "Requests to API servers for an object."),
		found:     object("slipway_object_drift_found_total", "Objects applied by this one that were found changed or deleted by others."),
		corrected: object("slipway_object_drift_corrected_total", "Objects applied by this one that were put back."),
		contested: object("slipway_object_contested_objects", "Objects applied by this one that others keep changing back. Without a series there are none."),
		managed:   object("slipway_object_managed_objects", "Objects in the inventory."),
		resource: desc(nameResource, "The state of an object, in labels.", "customresource_group", "customresource_version", "customresource_kind",
			"exported_namespace", "name", "ready", "reason", "suspended", "revision", "source_name"),
		oldest:   desc("slipway_queue_oldest_seconds", "For how long the object has waited for a worker that has waited longest.", "kind"),
		watches:  desc("slipway_watches", "Watches of applied objects that are wanted, and whether they are on.", "state"),
		watched:  desc("slipway_watched_objects", "Applied objects that are watched."),
		remotes:  desc("slipway_remote_clusters", "Remote clusters in use, and whether they answer.", "state"),
		store:    desc("slipway_store_bytes", "Size of the files that are kept of sources. It is looked up again at most once a minute."),
		free:     desc("slipway_store_free_bytes", "Space that is left where the store is."),
		capacity: desc("slipway_store_capacity_bytes", "Space that there is where the store is, whoever uses it."),
	}
}

// Describe implements prometheus.Collector.
func (t *Telemetry) Describe(out chan<- *prometheus.Desc) {
	for _, c := range t.metrics.collectors() {
		c.Describe(out)
	}
	d := describe()
	for _, desc := range []*prometheus.Desc{
		d.reconcile, d.phase, d.queue, d.requests, d.found, d.corrected, d.contested, d.managed, d.resource,
		d.oldest, d.watches, d.watched, d.remotes, d.store, d.free, d.capacity,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (t *Telemetry) Collect(out chan<- prometheus.Metric) {
	for _, c := range t.metrics.collectors() {
		c.Collect(out)
	}
	t.mu.RLock()
	objects, facts := maps.Clone(t.objects), t.facts
	t.mu.RUnlock()
	s := &Scrape{out: out, desc: describe()}
	oldest, now := map[string]time.Duration{}, time.Now()
	for o, a := range objects {
		s.account(o, a, now)
		oldest[o.Kind] = max(oldest[o.Kind], a.waited(now))
	}
	for kind, waited := range oldest {
		s.gauge(s.desc.oldest, waited.Seconds(), kind)
	}
	for _, read := range facts {
		read(s)
	}
}

// Scrape takes what is there at the moment of a scrape.
type Scrape struct {
	out  chan<- prometheus.Metric
	desc descriptions
}

func (s *Scrape) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// account tells what was counted for an object. What never happened to it has no series.
func (s *Scrape) account(o Object, a *account, now time.Time) {
	counter := func(desc *prometheus.Desc, value float64, more ...string) {
		if value != 0 {
			s.out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, append([]string{o.Kind, o.Namespace, o.Name}, more...)...)
		}
	}
	if runs := a.runs.Load(); runs > 0 {
		s.out <- prometheus.MustNewConstHistogram(s.desc.reconcile, uint64(runs), inSeconds(a.runNanos.Load()), nil, o.Kind, o.Namespace, o.Name)
	}
	counter(s.desc.queue, inSeconds(a.queueNanos.Load()))
	counter(s.desc.requests, float64(a.requests.Load()))
	counter(s.desc.found, float64(a.found.Load()))
	counter(s.desc.corrected, float64(a.corrected.Load()))
	if n := a.contested.Load(); n > 0 && now.UnixNano() < a.contestedUntil.Load() {
		s.gauge(s.desc.contested, float64(n), o.Kind, o.Namespace, o.Name)
	}
	for i, phase := range phases {
		counter(s.desc.phase, inSeconds(a.phaseNanos[i].Load()), string(phase))
	}
}

func inSeconds(nanos int64) float64 { return time.Duration(nanos).Seconds() }

// Resource is the state of an object of Flux's APIs.
type Resource struct {
	Object

	Group, Version string
	// Ready is the status of its condition, Reason the condition's reason.
	Ready, Reason string
	Suspended     bool
	Revision      string
	Source        string
	// Managed is how many objects its inventory has; below 0: it has none.
	Managed int
}

// Resource tells the state of an object.
func (s *Scrape) Resource(r Resource) {
	suspended := "false"
	if r.Suspended {
		suspended = "true"
	}
	ready := r.Ready
	if ready == "" {
		ready = "Unknown"
	}
	s.gauge(s.desc.resource, 1, r.Group, r.Version, r.Kind, r.Namespace, r.Name, ready, r.Reason, suspended, r.Revision, r.Source)
	if r.Managed >= 0 {
		s.gauge(s.desc.managed, float64(r.Managed), r.Kind, r.Namespace, r.Name)
	}
}

// Watches tells how many watches are on and how many are not, and what they show.
func (s *Scrape) Watches(open, failing, objects int) {
	s.gauge(s.desc.watches, float64(open), "open")
	s.gauge(s.desc.watches, float64(failing), "failing")
	s.gauge(s.desc.watched, float64(objects))
}

// Remotes tells how many remote clusters answer and how many don't.
func (s *Scrape) Remotes(up, down int) {
	s.gauge(s.desc.remotes, float64(up), "up")
	s.gauge(s.desc.remotes, float64(down), "down")
}

// Store tells how large the store is, and how much space there is and is left where it is, in bytes. Below 0: that isn't known.
func (s *Scrape) Store(size, free, capacity int64) {
	for desc, value := range map[*prometheus.Desc]int64{s.desc.store: size, s.desc.free: free, s.desc.capacity: capacity} {
		if value >= 0 {
			s.gauge(desc, float64(value))
		}
	}
}
