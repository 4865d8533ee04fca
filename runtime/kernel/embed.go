package kernel

import (
	"cmp"
	"errors"
)

// NewEmbed returns the embedding: the sum of a token's word, type and position row,
// each int8 codes times a scale per row, normalised.
//
//	x = (word + type) + position; y = LayerNorm(x)
//
// Arguments: ids, types, positions i32 [M]; wordCodes i8 [words][Pad16(h)], wordScale
// f32 [words]; posCodes, posScale, typeCodes, typeScale likewise; gamma, beta f32
// [Pad16(h)]; out f32 [M][Pad16(h)]; words, places, kinds: rows of the three tables.
// An id is compared unsigned; one past its table reads the last row.
func NewEmbed(h int, eps float32) (*Kernel, error) {
	if err := cmp.Or(checkRange("h", h, 1, maxHidden), checkPositive("eps", eps)); err != nil {
		return nil, err
	}
	w := pad16(h)
	table := func(count, bytes int) func(call) uint64 {
		return func(c call) uint64 { return c.at(count) * uint64(bytes) }
	}
	return &Kernel{
		name: canonical("embed", digestEmbed, "h"+itoa(h)+",eps"+hexFloat(eps)),
		args: []Arg{
			readArg("ids", perToken(4)), readArg("types", perToken(4)), readArg("positions", perToken(4)),
			readArg("wordCodes", table(embedWords, w)), readArg("wordScale", table(embedWords, 4)),
			readArg("posCodes", table(embedPlaces, w)), readArg("posScale", table(embedPlaces, 4)),
			readArg("typeCodes", table(embedKinds, w)), readArg("typeScale", table(embedKinds, 4)),
			readArg("gamma", fixed(4*w)), readArg("beta", fixed(4*w)),
			writeArg("out", perToken(4*w)),
			scalarArg("words"), scalarArg("places"), scalarArg("kinds"),
		},
		domain:  Rows,
		grain:   8,
		check:   checkTables,
		scratch: func(call) uint64 { return 0 },
		cost:    func(call) uint64 { return 8 * uint64(h) },
		body:    func() []byte { return embedBody(h, eps) },
		run:     func(mem []byte, lo, hi, _ int, args []uint32) { runEmbed(mem, lo, hi, args, h, eps) },
	}, nil
}

// Places of embed's arguments.
const (
	embedIDs = iota
	embedTypes
	embedPositions
	embedWordCodes
	embedWordScale
	embedPosCodes
	embedPosScale
	embedTypeCodes
	embedTypeScale
	embedGamma
	embedBeta
	embedOut
	embedWords
	embedPlaces
	embedKinds
)

func checkTables(c call) error {
	if c.at(embedWords) == 0 || c.at(embedPlaces) == 0 || c.at(embedKinds) == 0 {
		return errors.New("empty table")
	}
	return nil
}

func runEmbed(mem []byte, lo, hi int, args []uint32, h int, eps float32) {
	w := pad16(h)
	gamma := view[float32](mem, int(args[embedGamma]), w)
	beta := view[float32](mem, int(args[embedBeta]), w)
	for r := lo; r < hi; r++ {
		word, ws := tableRow(mem, r, w, args[embedIDs], args[embedWordCodes], args[embedWordScale], args[embedWords])
		kind, ts := tableRow(mem, r, w, args[embedTypes], args[embedTypeCodes], args[embedTypeScale], args[embedKinds])
		place, ps := tableRow(mem, r, w, args[embedPositions], args[embedPosCodes], args[embedPosScale], args[embedPlaces])
		out := view[float32](mem, int(args[embedOut])+r*4*w, w)
		for i := range out {
			x := float32(float32(word[i])*ws) + float32(float32(kind[i])*ts)
			out[i] = x + float32(float32(place[i])*ps)
		}
		layerNorm(out, gamma, beta, h, eps)
	}
}

// tableRow is the row of codes, and its scale, that entry r of an index names.
func tableRow(mem []byte, r, width int, index, codes, scales, count uint32) ([]int8, float32) {
	id := tableEntry(mem, r, index, count)
	row := view[int8](mem, int(codes)+id*width, width)
	return row, view[float32](mem, int(scales)+4*id, 1)[0]
}

// tableEntry is the row of a table that entry r of an index names.
func tableEntry(mem []byte, r int, index, count uint32) int {
	return int(min(uint32(view[int32](mem, int(index)+4*r, 1)[0]), count-1))
}
