package importer

import (
	"fmt"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// modernbert is ModernBERT: norms before the halves of a layer, rotary positions,
// gated feed-forwards, and attention that sees all tokens in one layer of a few
// and a window in the others.
func modernbert() *arch {
	return &arch{
		names: []string{"modernbert"},
		keys: []key{
			size("hidden_size", maxHidden), size("intermediate_size", maxWidth), size("vocab_size", maxVocab),
			size("max_position_embeddings", maxPlaces), size("num_hidden_layers", maxLayers), size("num_attention_heads", maxHeads),
			actKey("hidden_activation", "hidden_act", graph.Gelu), epsKey("norm_eps", 1e-5),
			between("global_attn_every_n_layers", 1, maxLayers, 3), between("local_attention", 2, maxPlaces, 128),
			thetaKey("global_rope_theta", 160000.0), thetaKey("local_rope_theta", 10000.0).orNull(0.0),
			{name: "layer_types", as: "layer_types", form: own, parse: layerTypes, absent: []string(nil)},
			{name: "rope_parameters", as: "rope_parameters", form: own, parse: ropeParameters, absent: map[string]float64(nil)},
			flagKey("attention_bias", false), flagKey("mlp_bias", false), flagKey("norm_bias", false),
			flagKey("classifier_bias", false), flagKey("decoder_bias", true),
			actKey("classifier_activation", "classifier_activation", graph.Gelu), wordKey("classifier_pooling", "cls", "cls", "mean"),
		},
		idle: "layer_norm_eps position_embedding_type mlp_dropout deterministic_flash_attn initializer_cutoff_factor reference_compile repad_logits_with_grad " +
			"sparse_pred_ignore_index sparse_prediction",
		check: func(c *config) error {
			if kinds := c.values["layer_types"].([]string); kinds != nil && len(kinds) != c.num("num_hidden_layers") {
				return invalid(c.file, "layer_types", "", "%d of them for %d layers", len(kinds), c.num("num_hidden_layers"))
			}
			return nil
		},
		root:    "model.",
		probe:   "embeddings.tok_embeddings.weight",
		stem:    "layers.",
		extra:   []string{"head.", "decoder.", "classifier."},
		encoder: buildModern,
		heads: classes{
			prefixes: []string{"ModernBert"},
			classify: func(b *build) {
				how := graph.PoolCLS
				if b.text("classifier_pooling") == "mean" {
					how = graph.PoolMean
				}
				b.logits(b.modernHead(b.m.Pool(b.m.Last, how)), "classifier")
			},
			tag:    func(b *build) { b.logits(b.modernHead(b.m.Last), "classifier") },
			answer: func(b *build) { b.span(b.modernHead(b.m.Last), "classifier") },
			words:  modernWords,
		}.heads(),
	}
}

// The kinds of a layer's attention, as version 5 of transformers lists them layer by
// layer; before it a layer was of the first kind or the second by its number.
const (
	fullAttention  = "full_attention"
	localAttention = "sliding_attention"
)

// layerTypes reads the kind of each layer.
func layerTypes(c *config, s *strictjson.Scanner) (any, error) {
	kinds := []string{}
	err := s.Array(func(int) error {
		kind, err := s.String()
		if err == nil && kind != fullAttention && kind != localAttention {
			return unsupported(c.file, "layer_types", "known are "+fullAttention+" and "+localAttention, "unknown kind %q", kind)
		}
		kinds = append(kinds, kind)
		return err
	})
	return kinds, err
}

// ropeParameters reads the base of rotary angles for each kind of layer.
func ropeParameters(c *config, s *strictjson.Scanner) (any, error) {
	thetas := make(map[string]float64)
	err := s.Object(func(kind string) error {
		if kind != fullAttention && kind != localAttention {
			return unknownKey(s, c.file, "rope_parameters."+kind)
		}
		return s.Object(func(key string) (err error) {
			switch key {
			case "rope_theta":
				theta := thetaKey(key, 0)
				var v any
				if v, err = theta.read(c, s); err == nil {
					thetas[kind] = v.(float64)
				}
			case "rope_type":
				err = exactly(s, c.file, "rope_parameters."+kind+"."+key, "default")
			default:
				err = unknownKey(s, c.file, "rope_parameters."+kind+"."+key)
			}
			return err
		})
	})
	return thetas, err
}

// attentionOf is the kind of a layer, and the base of its rotary angles.
func (c *config) attentionOf(layer int) (kind string, theta float64) {
	kind, theta = fullAttention, c.number("global_rope_theta")
	kinds := c.values["layer_types"].([]string)
	if kinds != nil && kinds[layer] == localAttention || kinds == nil && layer%c.num("global_attn_every_n_layers") != 0 {
		kind = localAttention
		if local := c.number("local_rope_theta"); local != 0 {
			theta = local
		}
	}
	if own := c.values["rope_parameters"].(map[string]float64)[kind]; own != 0 {
		theta = own
	}
	return kind, theta
}

// plainNorm is a layer norm with or without a bias.
func (b *build) plainNorm(tensor, as string, cols int) *graph.NormWeights {
	return once(b, tensor, func() *graph.NormWeights {
		n := &graph.NormWeights{Name: as, Kind: graph.LayerNorm, Eps: b.eps()}
		b.want(&n.Gain, []string{tensor + ".weight"}, cols)
		if b.on("norm_bias") {
			b.want(&n.Bias, []string{tensor + ".bias"}, cols)
		}
		return n
	})
}

func buildModern(b *build) {
	h := b.hidden
	x := b.m.Embed(b.words("embeddings.tok_embeddings", h))
	x = b.state(b.m.Norm(x, 0, b.plainNorm("embeddings.norm", "embed.norm", h)))
	for i := range b.layers {
		x = b.state(b.modernLayer(x, i))
	}
	b.m.Last = b.m.Norm(x, 0, b.plainNorm("final_norm", "final_norm", h))
}

// modernLayer is x = x + attention(norm x); x = x + feed-forward(norm x). The
// embeddings are normalised already, so the first layer's attention is not.
func (b *build) modernLayer(x graph.ID, i int) graph.ID {
	if b.err != nil {
		return x // no more operations than tensors
	}
	h, f, heads := b.hidden, b.num("intermediate_size"), b.num("num_attention_heads")
	at, as := fmt.Sprintf("layers.%d.", i), blockName(i)
	y := x
	if i > 0 {
		y = b.m.Norm(x, 0, b.plainNorm(at+"attn_norm", as+".attn_norm", h))
	}
	qkv := b.m.Linear(y, b.biased(b.on("attention_bias"), at+"attn.Wqkv", as+".qkv", 3*h, h), 0)
	attention := graph.Attention{
		Q: graph.Slice{X: qkv}, K: graph.Slice{X: qkv, First: h}, V: graph.Slice{X: qkv, First: 2 * h},
		Heads: heads, HeadSize: h / heads, Scale: b.scale(h/heads, 0),
	}
	kind, theta := b.attentionOf(i)
	if kind == localAttention {
		attention.Window = b.num("local_attention") / 2
	}
	attention.Relative = &graph.Rotary{Theta: theta}
	y = b.m.Linear(b.m.Attend(attention), b.biased(b.on("attention_bias"), at+"attn.Wo", as+".out", h, h), 0)
	x = b.m.Add(x, y)
	y = b.m.Norm(x, 0, b.plainNorm(at+"mlp_norm", as+".ffn_norm", h))
	y = b.m.Glu(b.m.Linear(y, b.biased(b.on("mlp_bias"), at+"mlp.Wi", as+".ffn_in", 2*f, h), 0), b.act("hidden_act"))
	y = b.m.Linear(y, b.biased(b.on("mlp_bias"), at+"mlp.Wo", as+".ffn_out", h, f), 0)
	return b.m.Add(x, y)
}

// modernHead is the layer and the norm in front of every head.
func (b *build) modernHead(x graph.ID) graph.ID {
	y := b.m.Linear(x, b.biased(b.on("classifier_bias"), "head.dense", "head.transform", b.hidden, b.hidden), b.act("classifier_activation"))
	return b.m.Norm(y, 0, b.plainNorm("head.norm", "head.norm", b.hidden))
}

func modernWords(b *build) {
	x := b.modernHead(b.m.Last)
	if b.on("decoder_bias") {
		b.decoder(x, "decoder", "decoder.bias")
		return
	}
	b.decoder(x, "decoder")
}
