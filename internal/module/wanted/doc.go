// Package wanted decides which version of a module is wanted, whether it may be installed now, and for what it waits.
//
// [Choose] takes one of the versions that there are: the newest in a range, or the one that a catalogue says ([ParseCatalogue]). [May] says
// whether what was planned may begin: by the policy, the windows, the age, what people approved, and the other modules ([Waits]). [Order]
// puts modules into the order of their requirements, and names the cycles.
//
// It is pure: no I/O but the time zone database, no clock, nothing remembered. The same question has the same answer. Everything that it
// refuses or waits for is said in words that tell what to do. docs/upgrades.md is the page about it.
package wanted
