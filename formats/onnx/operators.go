package onnx

import (
	"strconv"
	"strings"
)

// Domains of operators.
const (
	domainML        = "ai.onnx.ml"
	domainMicrosoft = "com.microsoft"
)

// opID is an operator, whatever its version.
type opID struct{ domain, name string }

// operators gives the version of its domain's set from which on each operator
// exists.
func operators() map[opID]int64 {
	known := make(map[opID]int64)
	for domain, list := range map[string]string{"": onnxOperators, domainML: mlOperators, domainMicrosoft: microsoftOperators} {
		for entry := range strings.FieldsSeq(list) {
			name, from, ok := strings.Cut(entry, ":")
			since := 1
			if ok {
				since, _ = strconv.Atoi(from)
			}
			known[opID{domain, name}] = int64(since)
		}
	}
	return known
}

// newest is the newest known version of a domain's operator set; 0 for a domain
// that is not known.
func newest(domain string) int64 {
	return map[string]int64{"": maxOpset, domainML: 5, domainMicrosoft: 1}[domain]
}

// operator checks that n's operator exists in the version that is imported.
func (r *reader) operator(n *Node) error {
	since, ok := r.known[opID{n.Domain, n.Op}]
	switch limit := newest(n.Domain); {
	case limit == 0 && n.Version == 0:
		return fault(n.Off, n.String(), "unknown domain %q, which the model does not import", n.Domain)
	case limit == 0:
		return fault(n.Off, n.String(), "unknown domain %q", n.Domain)
	case n.Version == 0:
		return fault(n.Off, n.String(), "the model does not import the domain %s", domainName(n.Domain))
	case !ok:
		return fault(n.Off, n.String(), "unknown operator %s", n.Op)
	case n.Version < 0 || n.Version > limit:
		return fault(n.Off, n.String(), "version %d of the domain %s, known are 1 to %d", n.Version, domainName(n.Domain), limit)
	case n.Version < since:
		return fault(n.Off, n.String(), "unknown operator %s: it exists from opset %d on, but the model imports %d", n.Op, since, n.Version)
	}
	return nil
}

// onnxOperators are the operators of ai.onnx as ONNX 1.23 has them, each with the
// first version that has it where that is not 1. LayerNormalization is there from 17
// on, but onnxruntime writes it, and SimplifiedLayerNormalization, into older sets.
const onnxOperators = `
	Abs Acos:7 Acosh:9 Add AffineGrid:20 And ArgMax ArgMin Asin:7 Asinh:9 Atan:7 Atanh:9 Attention:23 AveragePool BatchNormalization Bernoulli:15
	BitCast:26 BitShift:11 BitwiseAnd:18 BitwiseNot:18 BitwiseOr:18 BitwiseXor:18 BlackmanWindow:17 Cast CastLike:15 CausalConvWithState:27 Ceil Celu:12
	CenterCropPad:18 Clip Col2Im:18 Compress:9 Concat ConcatFromSequence:11 Constant ConstantOfShape:9 Conv ConvInteger:10 ConvTranspose Cos:7 Cosh:9
	CumProd:26 CumSum:11 DFT:17 DeformConv:19 DepthToSpace DequantizeLinear:10 Det:11 Div Dropout DynamicQuantizeLinear:11 Einsum:12 Elu Equal Erf:9 Exp
	Expand:8 EyeLike:9 Flatten Floor GRU Gather GatherElements:11 GatherND:11 Gelu:20 Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
	GreaterOrEqual:12 GridSample:16 GroupNormalization:18 HammingWindow:17 HannWindow:17 HardSigmoid HardSwish:14 Hardmax Identity If ImageDecoder:20
	InstanceNormalization IsInf:10 IsNaN:9 LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual:12 LinearAttention:27 Log LogSoftmax Loop
	LpNormalization LpPool MatMul MatMulInteger:10 Max MaxPool MaxRoiPool MaxUnpool:9 Mean MeanVarianceNormalization:9 MelWeightMatrix:17 Min Mish:18
	Mod:10 Mul Multinomial:7 Neg NegativeLogLikelihoodLoss:12 NonMaxSuppression:10 NonZero:9 Not OneHot:9 Optional:15 OptionalGetElement:15
	OptionalHasElement:15 Or PRelu Pad Pow QLinearConv:10 QLinearMatMul:10 QuantizeLinear:10 RMSNormalization:23 RNN RandomNormal RandomNormalLike
	RandomUniform RandomUniformLike Range:11 Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
	ReduceSum ReduceSumSquare RegexFullMatch:20 Relu Reshape Resize:10 ReverseSequence:10 RoiAlign:10 RotaryEmbedding:23 Round:11 STFT:17 Scan:8
	Scatter:9 ScatterElements:11 ScatterND:11 Selu SequenceAt:11 SequenceConstruct:11 SequenceEmpty:11 SequenceErase:11 SequenceInsert:11
	SequenceLength:11 SequenceMap:17 Shape Shrink:9 Sigmoid Sign:9 SimplifiedLayerNormalization Sin:7 Sinh:9 Size Slice Softmax SoftmaxCrossEntropyLoss:12 Softplus Softsign
	SpaceToDepth Split SplitToSequence:11 Sqrt Squeeze StringConcat:20 StringNormalizer:10 StringSplit:20 Sub Sum SwiGLU:28 Swish:24 Tan:7 Tanh
	TensorScatter:24 TfIdfVectorizer:9 ThresholdedRelu:10 Tile TopK Transpose Trilu:14 Unique:11 Unsqueeze Upsample Where:9 Xor`

// mlOperators are those of ai.onnx.ml.
const mlOperators = `
	ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor
	Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble:5 TreeEnsembleClassifier TreeEnsembleRegressor ZipMap`

// microsoftOperators are those of com.microsoft as onnxruntime 1.32 has them.
const microsoftOperators = `
	Attention AttnLSTM BeamSearch BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu BifurcationDetector BitmaskBiasDropout BitmaskDropout
	BranchwiseRMSNorm CDist CausalConvWithState ComplexMul ComplexMulConj ConvStateReplay ConvTransposeWithDynamicPads CropAndResize DecoderAttention
	DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeBFP DequantizeLinear DequantizeWithOrder DynamicQuantizeLSTM
	DynamicQuantizeMatMul DynamicSparseAttention DynamicTimeWarping EPContext EmbedLayerNormalization EngramGate ExpandDims FastGelu FusedConv FusedGemm
	FusedMatMul FusedMatMulActivation GatedAdd GatedDeltaNet GatedDeltaNetStateReplay GatedRMSNorm GatedRelativePositionBias GatherBlockQuantized
	GatherND GatherPacked Gelu GemmFastGelu GemmFloat8 GemmaRotaryEmbedding GreedySearch GridSample GroupNorm GroupQueryAttention
	HyperConnectionLowRankMix HyperConnectionPostMix HyperConnectionPreMix Inverse Irfft IsAllFinite LinearAttention LinearAttentionGate
	LongformerAttention MRotaryEmbedding Mamba2Verify MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight MatMulBnb4 MatMulFpQ4 MatMulInteger16
	MatMulIntegerToFloat MatMulNBits MatMulNBitsMlp MatMulNBitsQLoRA MatMulNBitsQkv MatMulPacked MaxpoolWithMask MoE MoEGroupRouter MoEPacked MulInteger
	MultiHeadAttention MurmurHash3 NGramHashMapping NGramRepeatBlock NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention PackedMultiHeadAttention
	PackedSparseAttentionIndexer PackedSparseAttentionIndexerMerge Pad PagedAttention QAttention QEmbedLayerNormalization QGemm QLinearAdd
	QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
	QLinearWhere QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeLinear
	QuantizeWithOrder QuickGelu RMSNormRotary Range ReduceSumInteger RelativePositionBias RemovePadding RestorePadding Rfft RotaryEmbedding
	RouterGateUpProj SampleOp Sampling ScaledSiLU SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization Snpe SparseAttention
	SparseAttentionIndexer SparsePagedAttention SparseToDenseMatMul SpeculativePrefixCommit SwiGLU Tokenizer TorchEmbedding TransposeMatMul Trilu
	UnfoldTensor Unique VarlenCausalConvWithState VarlenNGramHashMapping WhisperBeamSearch WordConvEmbedding`
