package chart

// The most that a chart may cost. They are far above what known charts need: the largest of them have some hundred templates, take some
// hundred thousand steps and render to a few megabytes.
const (
	maxOutput = 128 << 20 // bytes that all templates write, those included in others counted again
	maxResult = 16 << 20  // bytes of text, or elements of a list, that one function gives
	maxSteps  = 1_000_000 // functions that are called, and rounds of loops
	maxDepth  = 500       // templates in templates
	maxWeight = 500_000   // values in a value that is written out
	maxLoop   = 1_000_000 // elements of a list of numbers
)
