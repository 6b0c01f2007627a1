// Package chart renders Helm charts, and does nothing else with them: there is no release, no hook runs, no cluster and no other host
// is asked, no program is run, and a chart whose templates make nothing up gives the same text each time.
//
// How a chart is read, how values are laid over each other and which subcharts are enabled is Helm's own code. The templates are
// executed here and not by Helm's engine, because a chart is what strangers send: execution stops when its context ends, and output,
// steps, depth and the results of functions are bounded. A test holds the outcome against Helm's engine.
//
// Of what a template writes that has called a function whose result differs each time (random text, keys and certificates, UUIDs), the
// [Document] says so. What a template learns of the time is [Release].Now.
package chart
