"""The bundled issue: 64 papers of four list days of Hugging Face's Daily Papers, as bibliographic facts.

Ids, titles, names, days and counts are facts recorded in March 2026 (at most six authors are named; the count
is the true one). Summaries and keywords were written for Paperlark and quote no abstract. All days are the
true ones; :mod:`service.papers.sources.demo` moves them to the present.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """One paper of the issue; lists in a text are parted by commas.

    ``published`` is ``YYYY-MM-DD``. A sight reads ``MM-DDTHH:MM votes comments stars`` (2026, UTC), with
    ``-`` for a count that was not recorded.
    """

    id: str
    title: str
    authors: str
    author_count: int
    published: str
    repository_url: str | None
    summary: str
    keywords: str
    sights: str


ISSUE: dict[str, tuple[Entry, ...]] = {
    "2026-03-05": (
        Entry(
            "2603.02604",
            "Heterogeneous Agent Collaborative Reinforcement Learning",
            "Zhixia Zhang, Zixuan Huang, Xin Xia, Deqing Wang, Fuzhen Zhuang, Shuai Ma",
            10,
            "2026-03-03",
            None,
            "Different language models pool the answers they checked during training so that each learns "
            "from the others, yet every model still works alone afterwards.",
            "reinforcement learning, llm agent, rollout sharing, policy optimization, knowledge transfer",
            "03-05T08:04 26 1 -, 03-06T00:10 92 - -, 03-09T00:15 146 - -",
        ),
        Entry(
            "2603.04379",
            "Helios: Real Real-Time Long Video Generation Model",
            "Shenghai Yuan, Yuanyang Yin, Zongjian Li, Xinwei Huang, Xiao Yang, Li Yuan",
            6,
            "2026-03-04",
            None,
            "A large video model that draws clips of a minute or more nearly as fast as they play, on one "
            "data-centre GPU and without the usual speed-up tricks.",
            "video generation, text-to-video, real-time generation, long video generation, diffusion model",
            "03-05T03:26 0 0 -, 03-06T00:10 105 - -, 03-09T00:15 136 - -",
        ),
        Entry(
            "2603.03790",
            "T2S-Bench & Structure-of-Thought: Benchmarking and Prompting Comprehensive Text-to-Structure "
            "Reasoning",
            "Qinsi Wang, Hancheng Ye, Jinhee Kim, Jinghan Ke, Yifei Wang, Martin Kuo",
            15,
            "2026-03-04",
            None,
            "Asking a model to sketch the structure of a text before it answers helps it, and a new test "
            "set shows how hard such sketches still are.",
            "llm reasoning, prompting, evaluation benchmark, text structure, multi-step reasoning",
            "03-05T08:04 29 1 -, 03-06T00:10 92 - -, 03-09T00:15 109 - -",
        ),
        Entry(
            "2603.03379",
            "MemSifter: Offloading LLM Memory Retrieval via Outcome-Driven Proxy Reasoning",
            "Jiejun Tan, Zhicheng Dou, Liancheng Zhang, Yuyang Hu, Yiruo Cheng, Ji-Rong Wen",
            6,
            "2026-03-03",
            "https://github.com/plageon/MemSifter",
            "A small helper model picks out which memories matter before the big model is asked, which "
            "keeps long-running assistants cheap.",
            "long-term memory, agent memory, retrieval, small language model, reinforcement learning",
            "03-05T08:04 14 1 2, 03-06T00:10 20 - -, 03-09T00:15 26 - -",
        ),
        Entry(
            "2603.04338",
            "ArtHOI: Articulated Human-Object Interaction Synthesis by 4D Reconstruction from Video Priors",
            "Zihao Huang, Tianqi Liu, Zhaoxi Chen, Shaocong Xu, Saining Zhang, Lixing Xiao",
            10,
            "2026-03-04",
            "https://github.com/Inso-13/ArtHOI",
            "Scenes of people opening cupboards and using other jointed objects are rebuilt in space and "
            "time from an AI-made clip alone.",
            "human-object interaction, 4d reconstruction, video diffusion, human motion, articulated object",
            "03-05T08:04 1 2 2, 03-06T00:10 19 - -, 03-09T00:15 20 - -",
        ),
        Entry(
            "2603.03975",
            "Phi-4-reasoning-vision-15B Technical Report",
            "Jyoti Aneja, Michael Harrison, Neel Joshi, Tyler LaBonte, John Langford, Eduardo Salinas",
            6,
            "2026-03-04",
            "https://github.com/microsoft/Phi-4-reasoning-vision-15B",
            "How a fairly small open model that reads pictures and solves science and maths questions was "
            "built, and why clean data counted for most.",
            "vision-language model, multimodal reasoning, data curation, technical report, small language "
            "model",
            "03-05T03:26 0 0 -, 03-06T00:10 11 - -, 03-09T00:15 19 - -",
        ),
        Entry(
            "2603.04257",
            "Memex(RL): Scaling Long-Horizon LLM Agents via Indexed Experience Memory",
            "Zhenting Wang, Huancheng Chen, Jiayun Wang, Wei Wei",
            4,
            "2026-03-04",
            None,
            "An agent files its full history under short index entries and looks up the originals when it "
            "needs them, so nothing gets lost to summarising.",
            "llm agent, agent memory, long-context, long-horizon task, reinforcement learning",
            "03-05T08:04 6 1 -, 03-06T00:10 8 - -, 03-09T00:15 14 - -",
        ),
        Entry(
            "2603.04304",
            "V_1: Unifying Generation and Self-Verification for Parallel Reasoners",
            "Harman Singh, Xiuyu Li, Kusha Sareen, Monishwaran Maheswaran, Sijun Tan, Xiaoxia Wu",
            17,
            "2026-03-04",
            None,
            "Language models judge two answers side by side far better than one on its own, and this work "
            "builds a tournament of answers on that fact.",
            "test-time scaling, self-verification, llm reasoning, pairwise ranking, reinforcement learning",
            "03-06T00:10 5 - -, 03-09T00:15 13 - -",
        ),
        Entry(
            "2603.03823",
            "SWE-CI: Evaluating Agent Capabilities in Maintaining Codebases via Continuous Integration",
            "Jialong Chen, Xander Xu, Hu Wei, Chuan Chen, Bing Zhao",
            5,
            "2026-03-04",
            None,
            "A test of whether coding assistants can look after a real project over months of commits "
            "instead of repairing a single bug.",
            "code generation, software engineering, llm agent, evaluation benchmark, continuous integration",
            "03-05T08:04 1 1 -, 03-06T00:10 3 - -",
        ),
        Entry(
            "2603.01847",
            "GroupEnsemble: Efficient Uncertainty Estimation for DETR-based Object Detection",
            "Yutong Yang, Katarina Popović, Julian Wiederer, Markus Braun, Vasileios Belagiannis, Bin Yang",
            6,
            "2026-03-02",
            None,
            "Object detectors of the DETR family learn to say how sure they are about where a box lies, "
            "at almost no extra cost.",
            "object detection, uncertainty estimation, detection transformer, autonomous driving",
            "03-06T00:10 1 - -",
        ),
        Entry(
            "2603.02482",
            "MUSE: A Run-Centric Platform for Multimodal Unified Safety Evaluation of Large Language Models",
            "Zhongxi Wang, Yueqian Lin, Jingyang Zhang, Hai Helen Li, Yiran Chen",
            5,
            "2026-03-03",
            None,
            "An open tool for attacking chat models with sound, pictures and film as well as words, to "
            "see whether their good manners carry over.",
            "ai safety, red teaming, jailbreak, multimodal large language model, safety alignment",
            "03-05T08:04 1 1 -, 03-06T00:10 2 - -, 03-09T00:15 3 - -",
        ),
        Entry(
            "2603.04124",
            "BeamPERL: Parameter-Efficient RL with Verifiable Rewards Specializes Compact LLMs for "
            "Structured Beam Mechanics Reasoning",
            "Tarjei Paule Hage, Markus J. Buehler",
            2,
            "2026-03-04",
            None,
            "A tiny model rewarded for right answers about loaded beams gets better at beams, but mostly "
            "by learning recipes rather than mechanics.",
            "reinforcement learning, verifiable reward, scientific reasoning, small language model, physics",
            "03-06T00:10 1 - -",
        ),
    ),
    "2026-03-06": (
        Entry(
            "2603.04448",
            "SkillNet: Create, Evaluate, and Connect AI Skills",
            "Yuan Liang, Ruobin Zhong, Haoming Xu, Chen Jiang, Yi Zhong, Runnan Fang",
            49,
            "2026-02-26",
            None,
            "A shared library of more than two hundred thousand skills for AI agents, with tools to add, "
            "grade and link them.",
            "llm agent, ai agent, skill library, tool use, open infrastructure",
            "03-07T00:03 43 - -, 03-08T00:02 55 - -, 03-09T00:15 64 - -",
        ),
        Entry(
            "2603.03756",
            "MOOSE-Star: Unlocking Tractable Training for Scientific Discovery by Breaking the Complexity "
            "Barrier",
            "Zonglin Yang, Lidong Bing",
            2,
            "2026-03-04",
            "https://github.com/ZonglinY/MOOSE-Star",
            "Training a model to propose research hypotheses becomes affordable once the job is split "
            "into small steps and the literature is searched as a tree.",
            "scientific discovery, hypothesis generation, ai for science, hierarchical search, llm reasoning",
            "03-06T08:02 64 1 1, 03-07T00:03 74 - -, 03-09T00:15 82 - -",
        ),
        Entry(
            "2603.04743",
            "DARE: Aligning LLM Agents with the R Statistical Ecosystem via Distribution-Aware Retrieval",
            "Maojun Sun, Yue Wu, Yifei Xie, Ruijian Han, Binyan Jiang, Defeng Sun",
            8,
            "2026-03-05",
            "https://github.com/AMA-CMFAI/DARE",
            "Agents choose better R packages for a statistics job when the search takes the shape of the "
            "data into account.",
            "retrieval, text embedding, llm agent, statistics, tool use",
            "03-06T08:02 37 1 1, 03-07T00:03 41 - -, 03-09T00:15 44 - -",
        ),
        Entry(
            "2602.23166",
            "AgentVista: Evaluating Multimodal Agents in Ultra-Challenging Realistic Visual Scenarios",
            "Zhaochen Su, Jincheng Gao, Hangyu Guo, Zhenhua Liu, Lueyang Zhang, Xinyu Geng",
            13,
            "2026-02-26",
            "https://github.com/hkust-nlp/AgentVista",
            "Everyday puzzles in detailed photographs, from faulty wiring to transit maps, show how far "
            "picture-reading agents are from being dependable.",
            "multimodal agent, evaluation benchmark, visual reasoning, tool use, long-horizon task",
            "03-06T08:02 22 1 21, 03-07T00:03 29 - -, 03-09T00:15 33 - -",
        ),
        Entry(
            "2603.05504",
            "RoboPocket: Improve Robot Policies Instantly with Your Phone",
            "Junjie Fang, Wendi Chen, Han Xue, Fangyuan Zhou, Tian Le, Yi Wang",
            10,
            "2026-03-05",
            None,
            "A phone shows what a robot would do next, so people can correct its weak spots without a "
            "robot in the room.",
            "robot learning, imitation learning, robot policy, teleoperation, data collection",
            "03-06T08:02 13 1 -, 03-07T00:03 28 - -, 03-09T00:15 30 - -",
        ),
        Entry(
            "2603.02210",
            "HiFi-Inpaint: Towards High-Fidelity Reference-Based Inpainting for Generating "
            "Detail-Preserving Human-Product Images",
            "Yichen Liu, Donghao Zhou, Jie Wang, Xin Gao, Guisheng Liu, Jiatong Li",
            12,
            "2026-03-02",
            "https://github.com/Correr-Zhou/HiFi-Inpaint",
            "Product photos with people in them keep the small print and texture of the product when part "
            "of the picture is painted anew.",
            "inpainting, image editing, image generation, product photography, diffusion model",
            "03-06T03:24 1 1 -, 03-07T00:03 24 - -, 03-09T00:15 26 - -",
        ),
        Entry(
            "2603.04791",
            "Timer-S1: A Billion-Scale Time Series Foundation Model with Serial Scaling",
            "Yong Liu, Xingjian Su, Shiyu Wang, Haoran Zhang, Haixuan Liu, Yuxuan Wang",
            10,
            "2026-03-05",
            None,
            "A forecasting model with eight billion parameters works through the future step by step and "
            "needs only a tenth of itself for each point.",
            "time series, time series forecasting, mixture-of-experts, foundation model, scaling law",
            "03-06T03:24 0 1 -, 03-07T00:03 7 - -, 03-09T00:15 13 - -",
        ),
        Entry(
            "2603.02170",
            "SageBwd: A Trainable Low-bit Attention",
            "Jintao Zhang, Marco Chen, Haoxu Wang, Kai Jiang, Ion Stoica, Joseph E. Gonzalez",
            8,
            "2026-03-02",
            None,
            "Why attention in eight-bit integers used to fall behind during training, and what it takes "
            "to close that gap.",
            "quantization, low-bit, attention, pretraining, training stability",
            "03-06T08:02 11 1 -, 03-07T00:03 12 - -, 03-09T00:15 14 - -",
        ),
        Entry(
            "2603.05449",
            "RealWonder: Real-Time Physical Action-Conditioned Video Generation",
            "Wei Liu, Ziyu Chen, Zizhang Li, Yue Wang, Hong-Xing Yu, Jiajun Wu",
            6,
            "2026-03-05",
            "https://github.com/liuwei283/RealWonder",
            "Push or grab something in a photo and watch what happens: a physics engine does the thinking "
            "and a fast video model the painting.",
            "video generation, physics simulation, image-to-video, world model, 3d reconstruction",
            "03-06T08:02 3 0 12, 03-07T00:03 5 - -, 03-09T00:15 9 - -",
        ),
        Entry(
            "2603.04800",
            "MASQuant: Modality-Aware Smoothing Quantization for Multimodal Large Language Models",
            "Lulu Hu, Wenhu Xiao, Xin Chen, Xinhua Xu, Bowen Xu, Kun Li",
            7,
            "2026-03-05",
            None,
            "Squeezing a model that reads both text and images into fewer bits goes wrong when both are "
            "scaled alike; here each kind of input gets its own scale.",
            "post-training quantization, quantization, multimodal large language model, model compression",
            "03-07T00:03 8 - -, 03-08T00:02 8 - -, 03-09T00:15 8 - -",
        ),
        Entry(
            "2603.05312",
            "UltraDexGrasp: Learning Universal Dexterous Grasping for Bimanual Robots with Synthetic Data",
            "Sizhe Yang, Yiman Xie, Zhixuan Liang, Yang Tian, Jia Zeng, Dahua Lin",
            7,
            "2026-03-05",
            None,
            "Two robot hands learn to pick up almost anything, having practised in simulation only.",
            "dexterous manipulation, robotic manipulation, sim-to-real, synthetic data, robot learning",
            "03-06T08:02 1 0 -, 03-07T00:03 1 - -, 03-09T00:15 6 - -",
        ),
        Entry(
            "2603.03655",
            "Mozi: Governed Autonomy for Drug Discovery LLM Agents",
            "He Cao, Siyu Liu, Fan Zhang, Zijing Liu, Hao Li, Bin Feng",
            10,
            "2026-03-04",
            None,
            "Agents that search for medicines are put under firm supervision, so that an early mistake "
            "does not spoil every later stage.",
            "drug discovery, llm agent, multi-agent system, ai for science, chemistry",
            "03-06T08:02 2 1 -, 03-07T00:03 2 - -, 03-09T00:03 2 - -",
        ),
        Entry(
            "2603.05433",
            "On-Policy Self-Distillation for Reasoning Compression",
            "Hejian Sang, Yuanda Xu, Zhengze Zhou, Ran He, Zhipeng Wang, Jiachen Sun",
            6,
            "2026-03-05",
            None,
            "A model learns to ramble less by imitating itself when told to be brief, and it needs no "
            "answer key for that.",
            "llm reasoning, reasoning model, knowledge distillation, inference efficiency, chain of thought",
            "03-06T08:02 2 1 -, 03-07T00:03 3 - -, 03-09T00:15 5 - -",
        ),
        Entry(
            "2603.04736",
            "Distribution-Conditioned Transport",
            "Nic Fishman, Gokul Gowri, Paolo L. B. Fischer, Marinka Zitnik, Omar Abudayyeh, Jonathan "
            "Gootenberg",
            6,
            "2026-03-05",
            None,
            "One model learns to morph any cloud of data points into any other, even for pairs never met "
            "in training, with cell biology in mind.",
            "optimal transport, flow matching, generative model, single-cell, distribution shift",
            "03-06T03:24 0 1 -, 03-07T00:03 0 - -, 03-09T00:03 2 - -",
        ),
        Entry(
            "2603.04553",
            "Latent Particle World Models: Self-supervised Object-centric Stochastic Dynamics Modeling",
            "Tal Daniel, Carl Qi, Dan Haramati, Amir Zadeh, Chuan Li, Aviv Tamar",
            8,
            "2026-03-04",
            None,
            "From raw footage alone, a model splits scenes into moving parts and imagines how they may go "
            "on.",
            "world model, object-centric learning, self-supervised learning, video prediction, imitation "
            "learning",
            "03-07T00:03 1 - -, 03-08T00:02 1 - -, 03-09T00:03 2 - -",
        ),
    ),
    "2026-03-09": (
        Entry(
            "2603.06569",
            "Penguin-VL: Exploring the Efficiency Limits of VLM with LLM-based Vision Encoders",
            "Boqiang Zhang, Lei Ke, Ruihan Yang, Qi Gao, Tianyuan Qu, Rossell Chen",
            8,
            "2026-03-06",
            "https://github.com/tencent-ailab/Penguin-VL",
            "A compact model that sees takes its eyes from a text model instead of the customary "
            "picture-and-caption training, and catches finer detail.",
            "vision-language model, vision encoder, small language model, on-device, visual representation",
            "03-09T03:31 19 1 21, 03-09T08:25 30 2 21, 03-10T00:03 75 - -",
        ),
        Entry(
            "2603.04918",
            "BandPO: Bridging Trust Regions and Ratio Clipping via Probability-Aware Bounds for LLM "
            "Reinforcement Learning",
            "Yuan Li, Bo Wang, Yufei Gao, Yuqian Yao, Xinyuan Wang, Zhangyue Yin",
            7,
            "2026-03-05",
            "https://github.com/OpenMOSS/BandPO",
            "The usual cap on updates hurts rare but good moves when training language models by reward; "
            "a cap that adapts to probability keeps them alive.",
            "reinforcement learning, policy optimization, ppo, exploration, large language model",
            "03-09T08:25 45 1 32, 03-10T00:03 50 - -",
        ),
        Entry(
            "2603.05438",
            "Planning in 8 Tokens: A Compact Discrete Tokenizer for Latent World Model",
            "Dongwon Kim, Gawon Seo, Jinsung Lee, Minsu Cho, Suha Kwak",
            5,
            "2026-03-05",
            None,
            "By describing each camera image in no more than eight symbols, a robot can try out many "
            "futures before it moves.",
            "world model, tokenizer, planning, robot learning, latent representation",
            "03-10T00:03 22 - -",
        ),
        Entry(
            "2603.00586",
            "WildActor: Unconstrained Identity-Preserving Video Generation",
            "Qin Guo, Tianyu Yang, Xuanhua He, Fei Shen, Yong Zhang, Zhuoliang Kang",
            8,
            "2026-02-28",
            None,
            "Characters keep their whole look, not merely their face, while the camera and their pose "
            "change, thanks to a big new collection of footage.",
            "video generation, human animation, identity preservation, personalized generation, dataset",
            "03-10T00:03 16 - -",
        ),
        Entry(
            "2603.05369",
            "Progressive Residual Warmup for Language Model Pretraining",
            "Tianhao Chen, Xin Xu, Lu Yin, Hao Chen, Yang Wang, Shizhe Diao",
            7,
            "2026-03-05",
            "https://github.com/dandingsky/ProRes",
            "Letting the early layers of a network settle first and easing in the deeper ones makes "
            "training of language models steadier and quicker.",
            "pretraining, training stability, training dynamics, transformer, learning rate",
            "03-09T08:25 10 1 1, 03-10T00:03 15 - -",
        ),
        Entry(
            "2603.05706",
            "Reasoning Models Struggle to Control their Chains of Thought",
            "Chen Yueh-Han, Robert McCarthy, Bruce W. Lee, He He, Ian Kivlichan, Bowen Baker",
            8,
            "2026-03-05",
            None,
            "Models can steer what they say far more easily than what they think aloud, which for now is "
            "good news for those who watch over them.",
            "ai safety, chain of thought, reasoning model, monitoring, interpretability",
            "03-09T03:31 2 1 -, 03-09T08:25 8 1 -, 03-10T00:03 15 - -",
        ),
        Entry(
            "2603.04639",
            "RoboMME: Benchmarking and Understanding Memory for Robotic Generalist Policies",
            "Yinpei Dai, Hongze Fu, Jayjun Lee, Yuejiang Liu, Haoran Zhang, Jianing Yang",
            9,
            "2026-03-04",
            "https://github.com/RoboMME/robomme_benchmark",
            "Sixteen tabletop chores that need remembering, such as counting or finding hidden things, to "
            "compare what robots can keep in mind.",
            "vision-language-action, robot learning, evaluation benchmark, long-term memory, robotic "
            "manipulation",
            "03-09T03:31 6 1 3, 03-09T08:25 10 1 3, 03-10T00:03 16 - -",
        ),
        Entry(
            "2603.06351",
            "Dynamic Chunking Diffusion Transformer",
            "Akash Haridas, Utkarsh Saxena, Parsa Ashrafi Fashi, Mehdi Rezagholizadeh, Vikram Appia, Emad "
            "Barsoum",
            6,
            "2026-03-06",
            None,
            "An image generator that spends little effort on plain sky and more on fine detail, learning "
            "by itself where to look closely.",
            "diffusion transformer, image generation, adaptive computation, diffusion model, tokenizer",
            "03-09T03:31 0 0 -, 03-09T08:25 1 0 -, 03-10T00:03 5 - -",
        ),
        Entry(
            "2603.02083",
            "π-StepNFT: Wider Space Needs Finer Steps in Online RL for Flow-based VLAs",
            "Siting Wang, Xiaofeng Wang, Zheng Zhu, Minnan Pei, Xinyu Cui, Cheng Deng",
            10,
            "2026-03-02",
            "https://github.com/wangst0181/pi-StepNFT",
            "Robot controllers built on flows can now practise by trial and error without knowing the "
            "odds of their own moves.",
            "vision-language-action, reinforcement learning, flow matching, robot policy, fine-tuning",
            "03-09T03:31 3 1 -, 03-09T08:25 4 1 13, 03-10T00:03 4 - -",
        ),
        Entry(
            "2603.06199",
            "FlashPrefill: Instantaneous Pattern Discovery and Thresholding for Ultra-Fast Long-Context "
            "Prefilling",
            "Qihang Fan, Huaibo Huang, Zhiying Wu, Juqiu Wang, Bingning Wang, Ran He",
            6,
            "2026-03-06",
            "https://github.com/qhfan/FlashPrefill",
            "Long prompts are read much faster by guessing quickly which parts of the attention table can "
            "be left out.",
            "sparse attention, long-context, inference acceleration, efficient inference, attention",
            "03-09T03:31 0 0 3, 03-09T08:25 1 0 3, 03-10T00:03 7 - -",
        ),
        Entry(
            "2603.05181",
            "Mario: Multimodal Graph Reasoning with Large Language Models",
            "Yuanfu Sun, Kang Li, Pengkang Guo, Jiajin Liu, Qiaoyu Tan",
            5,
            "2026-03-05",
            None,
            "A language model reasons over networks whose nodes hold both words and pictures, using the "
            "links between them.",
            "graph learning, multimodal reasoning, vision-language model, graph neural network, large "
            "language model",
            "03-10T00:03 4 - -",
        ),
        Entry(
            "2603.04370",
            "τ-Knowledge: Evaluating Conversational Agents over Unstructured Knowledge",
            "Quan Shi, Alexandra Zytek, Pedram Razavi, Karthik Narasimhan, Victor Barres",
            5,
            "2026-03-04",
            None,
            "Simulated bank customers test whether service agents can dig the right rule out of hundreds "
            "of pages and then act by it.",
            "llm agent, conversational agent, retrieval, tool use, evaluation benchmark",
            "03-10T00:03 2 - -",
        ),
        Entry(
            "2603.05607",
            "DreamCAD: Scaling Multi-modal CAD Generation using Differentiable Parametric Surfaces",
            "Mohammad Sadil Khan, Muhammad Usama, Rolandos Alexandros Potamias, Didier Stricker, Muhammad "
            "Zeshan Afzal, Jiankang Deng",
            7,
            "2026-03-05",
            None,
            "Editable engineering shapes come out of words, pictures or point clouds, learned from "
            "ordinary meshes instead of scarce design files.",
            "cad generation, 3d generation, mesh generation, text-to-3d, point cloud",
            "03-10T00:03 2 - -",
        ),
        Entry(
            "2603.01193",
            "Operator Learning Using Weak Supervision from Walk-on-Spheres",
            "Hrishikesh Viswanath, Hong Chul Nam, Xi Deng, Julius Berner, Anima Anandkumar, Aniket Bera",
            6,
            "2026-03-01",
            None,
            "Random walks give cheap and noisy hints about the solution of an equation, and those are "
            "enough to train a solver that needs no data set.",
            "neural operator, partial differential equation, monte carlo, ai for science, stochastic process",
            "03-10T00:03 1 - -",
        ),
        Entry(
            "2603.05494",
            "Censored LLMs as a Natural Testbed for Secret Knowledge Elicitation",
            "Helena Casademunt, Bartosz Cywiński, Khoi Tran, Arya Jakkli, Samuel Marks, Neel Nanda",
            6,
            "2026-03-05",
            None,
            "Models trained to stay silent on politics serve as a real-life test of methods that coax out "
            "the truth or catch a lie.",
            "ai safety, truthfulness, lie detection, censorship, activation steering",
            "03-10T00:03 1 - -",
        ),
        Entry(
            "2603.01666",
            "Beyond the Grid: Layout-Informed Multi-Vector Retrieval with Parsed Visual Document "
            "Representations",
            "Yibo Yan, Mingdong Ou, Yi Cao, Xin Zou, Shuliang Liu, Jiahao Huo",
            9,
            "2026-03-02",
            None,
            "Pages of scanned material are found by a handful of vectors, one for each part of the "
            "layout, which saves most of the storage.",
            "document understanding, document parsing, information retrieval, dense retrieval, multimodal "
            "embedding",
            "03-10T00:03 1 - -",
        ),
    ),
    "2026-03-10": (
        Entry(
            "2603.05890",
            "Lost in Stories: Consistency Bugs in Long Story Generation by LLMs",
            "Junjie Li, Xinrui Guo, Yuhao Wu, Roy Ka-Wei Lee, Hongzhi Li, Yutao Xie",
            6,
            "2026-03-06",
            "https://github.com/Picrew/ConStory-Bench",
            "Long tales written by AI contradict themselves, and this study counts how often, where and "
            "in which ways.",
            "story generation, long-context, evaluation benchmark, llm evaluation, creative writing",
            "03-10T08:04 14 2 22, 03-11T00:03 72 - -",
        ),
        Entry(
            "2603.07660",
            "Holi-Spatial: Evolving Video Streams into Holistic 3D Spatial Intelligence",
            "Yuanyuan Gao, Hao Li, Yifei Liu, Xinhao Ji, Yuning Gong, Yuanjun Liao",
            17,
            "2026-03-08",
            "https://github.com/Visionary-Laboratory/holi-spatial",
            "A pipeline without human labelling turns plain footage into a large stock of annotated rooms "
            "for teaching machines a sense of space.",
            "spatial intelligence, spatial reasoning, 3d reconstruction, gaussian splatting, dataset",
            "03-10T03:24 5 2 14, 03-10T08:04 50 4 14, 03-11T00:03 66 - -",
        ),
        Entry(
            "2603.03269",
            "LoGeR: Long-Context Geometric Reconstruction with Hybrid Memory",
            "Junyi Zhang, Charles Herrmann, Junhwa Hur, Chen Sun, Ming-Hsuan Yang, Forrester Cole",
            8,
            "2026-03-03",
            "https://github.com/Junyi42/LoGeR",
            "Minutes of video become one consistent model of the place, because the network remembers "
            "both the rough frame and the recent detail.",
            "3d reconstruction, camera pose, test-time training, long video, geometric foundation model",
            "03-10T08:04 29 2 98, 03-11T00:03 42 - -",
        ),
        Entry(
            "2603.08660",
            "How Far Can Unsupervised RLVR Scale LLM Training?",
            "Bingxiang He, Yuxin Zuo, Zeyuan Liu, Shangziqi Zhao, Zixuan Fu, Junlin Yang",
            21,
            "2026-03-09",
            None,
            "Rewarding a model for agreeing with itself sharpens what it already believes, which helps "
            "only as long as that belief is right.",
            "reinforcement learning, rlvr, verifiable reward, unsupervised learning, llm reasoning",
            "03-10T08:04 30 2 -, 03-11T00:03 37 - -",
        ),
        Entry(
            "2603.03872",
            "Believe Your Model: Distribution-Guided Confidence Calibration",
            "Xizhong Yang, Haotian Zhang, Huiming Wang, Mofei Song",
            4,
            "2026-03-04",
            None,
            "Looking at how sure a model is across many tries, and not at each try alone, leads to a "
            "better vote on the final answer.",
            "confidence calibration, test-time scaling, reasoning model, uncertainty estimation, llm "
            "reasoning",
            "03-10T03:24 1 1 -, 03-10T08:04 35 1 -, 03-11T00:03 38 - -",
        ),
        Entry(
            "2603.08589",
            "CARE-Edit: Condition-Aware Routing of Experts for Contextual Image Editing",
            "Yucheng Wang, Zedong Wang, Yuetong Wu, Yue Ma, Dan Xu",
            5,
            "2026-03-09",
            "https://github.com/CARE-Edit/Code",
            "A picture editor sends each request to the specialists that suit it, so that masks, "
            "references and wording no longer get in each other's way.",
            "image editing, mixture-of-experts, diffusion model, controllable generation",
            "03-10T08:04 27 2 3, 03-11T00:03 30 - -",
        ),
        Entry(
            "2603.08652",
            "CoCo: Code as CoT for Text-to-Image Preview and Rare Concept Generation",
            "Haodong Li, Chunmei Qing, Huanyu Zhang, Dongzhi Jiang, Yihang Zou, Hongbo Peng",
            13,
            "2026-03-09",
            None,
            "Before it paints, the system writes a short program that lays out the picture, runs it and "
            "uses the sketch as a guide.",
            "text-to-image, image generation, chain of thought, unified multimodal model, code generation",
            "03-10T08:04 23 1 -, 03-11T00:03 26 - -",
        ),
        Entry(
            "2603.07980",
            "$OneMillion-Bench: How Far are Language Agents from Human Experts?",
            "Qianyu Yang, Yang Liu, Jiaqi Li, Jun Bai, Hao Chen, Kaiyuan Chen",
            23,
            "2026-03-09",
            "https://github.com/humanlaya/OneMillion-Bench",
            "Four hundred tasks by experts in law, money, medicine and industry weigh AI agents by the "
            "worth of the work they could do.",
            "llm agent, evaluation benchmark, llm evaluation, professional work, tool use",
            "03-10T03:24 3 1 4, 03-10T08:04 15 1 4, 03-11T00:03 20 - -",
        ),
        Entry(
            "2603.08397",
            "NLE: Non-autoregressive LLM-based ASR by Transcript Editing",
            "Avihu Dekel, Samuel Thomas, Takashi Fukada, George Saon",
            4,
            "2026-03-09",
            None,
            "Speech is written down in one go and then corrected by a language model all at once, far "
            "quicker than word after word.",
            "speech recognition, asr, non-autoregressive, large language model, inference latency",
            "03-11T00:03 13 - -",
        ),
        Entry(
            "2603.07300",
            "AutoResearch-RL: Perpetual Self-Evaluating Reinforcement Learning Agents for Autonomous "
            "Neural Architecture Discovery",
            "Nilesh Jain, Rohit Yadav, Sagar Kotian, Claude AI",
            4,
            "2026-03-07",
            None,
            "A program rewrites its own training script, runs the experiment, reads the score and tries "
            "again, day and night.",
            "automated research, reinforcement learning, neural architecture search, ai scientist, code "
            "generation",
            "03-10T08:04 4 1 -, 03-11T00:03 8 - -",
        ),
        Entry(
            "2603.08013",
            "PIRA-Bench: A Transition from Reactive GUI Agents to GUI-based Proactive Intent "
            "Recommendation Agents",
            "Yuxiang Chai, Shunye Tang, Han Xiao, Rui Liu, Hongsheng Li",
            5,
            "2026-03-09",
            None,
            "Instead of waiting for orders, an assistant watches the screen and offers help at the right "
            "moment; this test shows how hard that is.",
            "gui agent, computer use, proactive assistant, evaluation benchmark, multimodal large "
            "language model",
            "03-10T03:24 6 1 -, 03-10T08:04 8 1 -, 03-11T00:03 9 - -",
        ),
        Entry(
            "2603.07223",
            "Unlocking Data Value in Finance: A Study on Distillation and Difficulty-Aware Training",
            "Chuxue Cao, Honglin Lin, Zhanping Zhong, Xin Gao, Mengzhang Cai, Conghui He",
            8,
            "2026-03-07",
            None,
            "For money matters the quality of worked examples and a sensible mix of hard questions matter "
            "more than sheer amount.",
            "finance, data curation, reinforcement learning, knowledge distillation, large language model",
            "03-11T00:03 11 - -",
        ),
        Entry(
            "2603.05344",
            "Building AI Coding Agents for the Terminal: Scaffolding, Harness, Context Engineering, and "
            "Lessons Learned",
            "Nghi D. Q. Bui",
            1,
            "2026-03-05",
            None,
            "Notes from building a coding assistant that lives on the command line: how it plans, what it "
            "forgets and where it must ask first.",
            "code generation, llm agent, software engineering, context engineering, tool use",
            "03-10T08:04 2 1 -, 03-11T00:03 4 - -",
        ),
        Entry(
            "2603.07901",
            "NaviDriveVLM: Decoupling High-Level Reasoning and Motion Planning for Autonomous Driving",
            "Ximeng Tao, Pardis Taghavi, Dimitar Filev, Reza Langari, Gaurav Pandey",
            5,
            "2026-03-09",
            "https://github.com/TAMU-CVRL/NaviDrive",
            "One large model thinks about the road and a small one steers, which keeps both good "
            "judgement and quick control.",
            "autonomous driving, vision-language model, motion planning, end-to-end driving",
            "03-10T08:04 3 1 3, 03-11T00:03 4 - -",
        ),
        Entry(
            "2603.05168",
            "Sparse-BitNet: 1.58-bit LLMs are Naturally Friendly to Semi-Structured Sparsity",
            "Di Zhang, Xun Wu, Shaohan Huang, Yudong Wang, Hanyong Shao, Yingbo Hao",
            12,
            "2026-03-05",
            None,
            "Networks whose weights are only minus one, zero or one also put up well with having many of "
            "them removed in a regular pattern.",
            "quantization, low-bit, weight sparsity, model compression, efficient inference",
            "03-11T00:03 2 - -",
        ),
        Entry(
            "2603.07169",
            "Making LLMs Optimize Multi-Scenario CUDA Kernels Like Experts",
            "Yuxuan Han, Meng-Hao Guo, Zhengning Liu, Wenguang Chen, Shi-Min Hu",
            5,
            "2026-03-07",
            None,
            "Several agents work together to speed up GPU programs of all sorts, from language models to "
            "scientific computing, with the profiler as their guide.",
            "cuda kernel, gpu kernel, multi-agent system, code generation, evaluation benchmark",
            "03-11T00:03 2 - -",
        ),
        Entry(
            "2603.00791",
            "Autophoresis of a Janus particle near a planar wall: a lubrication limit",
            "Tachin Ruangkriengsin, Günther Turk, Howard A. Stone",
            3,
            "2026-02-28",
            None,
            "How a tiny self-propelled sphere with an active and a passive side swims when it almost "
            "touches a wall, worked out with pen and paper.",
            "fluid dynamics, active matter, colloid, asymptotic analysis, soft matter",
            "03-10T08:04 0 1 -, 03-11T00:03 1 - -",
        ),
        Entry(
            "2603.08655",
            "OfficeQA Pro: An Enterprise Benchmark for End-to-End Grounded Reasoning",
            "Krista Opsahl-Ong, Arnav Singhvi, Jasmine Collins, Ivan Zhou, Cindy Wang, Ashutosh Baheti",
            13,
            "2026-03-09",
            "https://github.com/databricks/officeqa",
            "A century of treasury bulletins turns into a hard exam on reading tables and text, and the "
            "best agents get about a third of it right.",
            "document understanding, document parsing, retrieval-augmented generation, evaluation "
            "benchmark, llm agent",
            "03-10T08:04 2 0 68, 03-11T00:03 2 - -",
        ),
        Entry(
            "2603.07233",
            "Retrieval-Augmented Generation for Predicting Cellular Responses to Gene Perturbation",
            "Andrea Giuseppe Di Francesco, Andrea Rubbi, Pietro Liò",
            3,
            "2026-03-07",
            None,
            "To foretell how cells react when a gene is switched off, a model first looks up similar "
            "experiments, learning which ones are worth reading.",
            "retrieval-augmented generation, single-cell, gene perturbation, genomics, biology",
            "03-11T00:03 0 - -",
        ),
        Entry(
            "2603.07475",
            "Skip to the Good Part: Representation Structure & Inference-Time Layer Skipping in Diffusion "
            "vs. Autoregressive LLMs",
            "Raghavv Goel, Risheek Garrepalli, Sudhanshu Agrawal, Chris Lott, Mingu Lee, Fatih Porikli",
            6,
            "2026-03-08",
            None,
            "Language models that denoise build their inner picture in stages with much repetition, so "
            "some layers can be skipped without harm.",
            "diffusion language model, interpretability, layer skipping, inference efficiency, "
            "representation",
            "03-10T03:24 1 1 -, 03-10T08:04 2 1 -, 03-11T00:03 2 - -",
        ),
        Entry(
            "2603.05581",
            "Spatiotemporal Heterogeneity of AI-Driven Traffic Flow Patterns and Land Use Interaction: A "
            "GeoAI-Based Analysis of Multimodal Urban Mobility",
            "Olaf Yunus Laitinen Imanov",
            1,
            "2026-03-05",
            None,
            "Traffic in six cities is explained place by place from how the land is used, for cars, "
            "transit and walking alike.",
            "geospatial, traffic forecasting, spatio-temporal forecasting, urban planning, graph neural "
            "network",
            "03-10T08:04 1 1 -, 03-11T00:03 1 - -",
        ),
    ),
}
"""List day (``YYYY-MM-DD``) -> its papers."""
