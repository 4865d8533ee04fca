package tokenizer

import (
	"math"
	"strconv"
)

// The library reads numbers with serde_json, which for speed is off by a bit in one
// number of ten that has over 15 digits. Scores of pieces are compared, and sums of
// them tie, so ours are off by the same. Numbers longer than any that programs write
// are ours, for what has no other spelling, and exact.

// exactDigits is more digits than a float64 has.
const exactDigits = 32

// readNumber returns what serde_json makes of a JSON number. It is infinite where that
// is out of range.
func readNumber(text []byte) float64 {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	digits, exponent, rest := significand(text)
	if len(text)-len(rest) > exactDigits {
		f, err := strconv.ParseFloat(string(text), 64)
		if err == nil && negative {
			f = -f
		}
		return f
	}
	if len(rest) > 1 {
		e, err := strconv.ParseInt(string(rest[1:]), 10, 32)
		if err != nil { // it has at least nine digits
			e = math.MaxInt32 / 2
			if rest[1] == '-' {
				e = -e
			}
		}
		exponent += int(e)
	}
	f := scale(float64(digits), exponent)
	if negative {
		f = -f
	}
	return f
}

// significand reads the digits of a number as long as they fit, and the power of ten
// they are of; rest begins at the exponent.
func significand(text []byte) (digits uint64, exponent int, rest []byte) {
	fraction, full := false, false
	for i, c := range text {
		switch {
		case c == '.':
			fraction = true
			continue
		case c == 'e' || c == 'E':
			return digits, exponent, text[i:]
		}
		d := uint64(c - '0')
		full = full || digits > math.MaxUint64/10 || digits == math.MaxUint64/10 && d > math.MaxUint64%10
		switch {
		case full && !fraction:
			exponent++
		case full:
		default:
			digits = 10*digits + d
			if fraction {
				exponent--
			}
		}
	}
	return digits, exponent, nil
}

// scale returns f times a power of ten, rounded once for 308 powers.
func scale(f float64, exponent int) float64 {
	for f != 0 && exponent < -308 {
		f /= 1e308
		exponent += 308
	}
	switch {
	case f == 0:
		return 0
	case exponent > 308:
		return math.Inf(1)
	case exponent < 0:
		return f / powerOfTen(-exponent)
	}
	return f * powerOfTen(exponent)
}

func powerOfTen(n int) float64 {
	if n <= 22 {
		return math.Pow10(n) // exact
	}
	f, _ := strconv.ParseFloat("1e"+strconv.Itoa(n), 64)
	return f
}

// appendNumber appends a number that readNumber reads as f, which is finite.
func appendNumber(dst []byte, f float64) []byte {
	n := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if readNumber(dst[n:]) == f {
		return dst
	}
	return strconv.AppendFloat(dst[:n], f, 'e', exactDigits, 64)
}
