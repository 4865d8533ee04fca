package tokenizer

// Bounds on files and texts. Each keeps memory within a small multiple of the
// input or an index within its type.
const (
	maxFile       = 256 << 20 // bytes of tokenizer.json
	maxDepth      = 64        // nesting of JSON values
	maxVocabBytes = 1<<24 - 2 // bytes of all words together: trie nodes fit 24 bits
	maxWord       = 1 << 12   // bytes of one word: what a search walks at each place
	maxComponents = 1 << 10   // normalizers, pre-tokenizers and so on: each costs time on every text
	maxAdded      = 4096      // bytes of one added token
	maxRegexes    = 1 << 16   // bytes of all regexes, each counted with regexCost more
	regexCost     = 64
	maxPad        = 1 << 20 // tokens padded to
	maxTypeID     = 1<<31 - 1
	maxText       = 256 << 20 // bytes of one text; normalized it stays under 2 GiB
	maxNormalized = 1 << 30   // bytes of one normalized text
	maxOverflow   = 1 << 16   // overflowing pieces of one encoding
	maxKeptText   = 1 << 20   // bytes of scratch kept between calls
)

// maxGrowth is the greatest length of a normalized text of n bytes. Published
// tokenizers stay far below; a hostile one can ask for any growth.
func maxGrowth(n int) int { return 64*min(n, maxNormalized/64-64) + 4096 }

// maxID is the first id that a vocabulary of n words may not use. Ids may have
// holes, but a table over them stays a small multiple of the file.
func maxID(n int) int64 { return 8*int64(n) + 1024 }
