// Package golden chooses the texts a bundle is proved with.
//
// A proof is worth what its inputs reach. The batches cover every remainder of rows that
// a kernel's tile can meet, a single short text, the longest text the model takes, and
// batches of mixed lengths; with them run on one worker and on several, each code path
// of the kernels is taken. Texts are cut from the calibration corpus to exact token
// counts, so they depend on nothing but the tokenizer.
//
// The package runs nothing; it must not import engine or infer.
package golden

import "strings"

// tileRows is the number of rows of the largest tile of any kernel: totals of tokens
// take every remainder by it.
const tileRows = 6

// mixed are the lengths of the texts of the mixed batches.
var mixed = [][]int{{5, 17, 3, 30}, {9, 9, 4, 21, 3, 12, 7, 6}}

// Batches returns the golden batches for a model whose texts have at most max tokens.
// corpus gives the words, count the number of tokens of a text, specials included.
func Batches(corpus []string, max int, count func(string) int) [][]string {
	c := cutter{words: strings.Fields(strings.Join(corpus, " ")), max: max, count: count}
	var out [][]string
	for n := range tileRows {
		out = append(out, []string{c.text(tileRows + 2 + n)})
	}
	for _, lengths := range mixed {
		var batch []string
		for _, n := range lengths {
			batch = append(batch, c.text(n))
		}
		out = append(out, batch)
	}
	return append(out, []string{c.text(max)}, []string{""})
}

// cutter takes texts of given lengths from the words, going round.
type cutter struct {
	words []string
	next  int
	max   int
	count func(string) int
}

// text is as many of the next words as make at least n tokens, or the limit; a word of
// several tokens may overshoot, so single letters fill the last places.
func (c *cutter) text(n int) string {
	n = min(n, c.max)
	var text string
	for c.count(text) < n {
		longer := strings.TrimSpace(text + " " + c.words[c.next%len(c.words)])
		c.next++
		if c.count(longer) > n {
			longer = strings.TrimSpace(text + " a")
		}
		if c.count(longer) == c.count(text) {
			break // the limit, or a tokenizer that has no token for it
		}
		text = longer
	}
	return text
}
