// Package attempt carries modules through their lives: it reconciles Modules. It finds out what has happened (events), asks package
// lifecycle what follows, writes that into the status, and does the work of the new state: steps with server-side apply, health, soak,
// commit, rollback, uninstallation, drift.
//
// What is decided is in package lifecycle; what would be done, in package plan; what was to be done, in package revision. Here is only how.
//
// Everything may be done twice. The status is written before the work that it promises, and whoever starts anew goes on from the status, the
// revisions and the cluster: nothing else is needed. What is remembered beside them saves requests.
//
// No worker waits for something to come true: what isn't finished is looked at again when a watch or a deadline wakes its module. A worker waits for
// answers: the API server's, of which storing the objects of a kind anew needs one for each object; a metric server's, for seconds; and those of
// registries while a plan is made, which may be minutes. So at most half of the workers make plans at once (lanes).
package attempt
