"""Spoken words from espeak-ng (through libespeak-ng), and what a microphone adds: shift, gain, noise."""
import ctypes as C

import numpy as np

RATE, CLIP = 16000, 16000

WORDS = ("yes no up down left right on off stop go zero one two three four five six seven eight nine").split()
LABELS = WORDS + ["unknown", "silence"]

# Words of the class "unknown". Those for testing never occur in training.
OTHER_TRAIN = """able about after again always animal apple arrow bottle bridge butter camera candle castle chicken
circle city cloud coffee colour computer country cousin dinner doctor dollar dragon early earth engine evening family
farmer father finger flower forest friend garden glass happy hello history house island jacket kitchen ladder letter
light little machine market minute mirror monkey morning mother mountain music number office orange paper people
picture planet pocket question rabbit river rocket school sheila silver sister spring station story street sugar
summer table teacher thunder ticket tiger train tree uncle valley village visual water weather window winter woman
yellow backward forward follow learn bird cat dog bed wow marvin""".split()
OTHER_TEST = """basket blanket button captain carpet corner diamond eagle elephant feather guitar hammer hospital
journey lemon magnet needle ocean pencil pillow potato purple ribbon saddle shadow simple soldier tomato umbrella
violin wagon whistle wooden""".split()

ACCENTS_TRAIN = ["en-us", "en", "en-gb-scotland", "en-gb-x-gbclan", "en-us-nyc", "en-029"]
ACCENTS_TEST = ["en-gb-x-rp", "en-gb-x-gbcwmd"]
VOICES_TRAIN = """m1 m2 m3 m4 m6 m8 f1 f2 f3 f5 Andy Annie Alicia Mario adam belinda antonio boris ed edward grandma
grandpa anika john michel pablo rob sandro travis victor zac klatt klatt2 Denis Diogo Gene Henrique Jacky Lee
marcelo miguel pedro david caleb aunty""".split() + [""]
VOICES_TEST = "m5 m7 f4 linda steph max Michael paul norbert shelby Hugo quincy".split()


class _Event(C.Structure):
    _fields_ = [("type", C.c_int), ("uid", C.c_uint), ("text", C.c_int), ("length", C.c_int), ("audio", C.c_int),
                ("sample", C.c_int), ("user", C.c_void_p), ("id", C.c_char * 8)]


class Synthesiser:
    """One process-wide espeak-ng in synchronous mode."""

    def __init__(self):
        self.library = C.CDLL("libespeak-ng.so.1")
        self.rate = self.library.espeak_Initialize(2, 0, None, 1)  # 2: synchronous, to the callback
        if self.rate <= 0:
            raise RuntimeError("libespeak-ng does not start: is espeak-ng-data installed?")
        self.parts = []
        signature = C.CFUNCTYPE(C.c_int, C.POINTER(C.c_short), C.c_int, C.POINTER(_Event))
        self.callback = signature(self._take)  # kept alive: the library holds only its address
        self.library.espeak_SetSynthCallback(self.callback)

    def _take(self, samples, count, _events):
        if count > 0:
            self.parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text, voice, speed, pitch, spread):
        """float32 at 16 kHz, silence at both ends cut off. speed: words a minute; pitch, spread: 0..100."""
        self.parts.clear()
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise RuntimeError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((1, speed), (3, pitch), (4, spread)):
            self.library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.library.espeak_Synth(data, C.c_size_t(len(data) + 1), 0, 0, 0, 1, None, None)
        self.library.espeak_Synchronize()
        wave = to_rate(np.concatenate(self.parts).astype(np.float64) / 32768, self.rate)
        loud = np.nonzero(np.abs(wave) > 0.01 * np.abs(wave).max())[0]
        return wave[loud[0]:loud[-1] + 1].astype(np.float32)


def to_rate(wave, rate):
    """Resamples 22,050 Hz (441 units of 50 Hz) to 16,000 (320 units) by cutting the spectrum."""
    if rate == RATE:
        return wave
    unit = rate // 50
    length = -(-len(wave) // unit) * unit
    spectrum = np.fft.rfft(np.pad(wave, (0, length - len(wave))))
    wanted = length // unit * (RATE // 50)
    return np.fft.irfft(spectrum[:wanted // 2 + 1], wanted) * (wanted / length)


def random_voice(random, test):
    accent = random.choice(ACCENTS_TEST if test else ACCENTS_TRAIN)
    variant = random.choice(VOICES_TEST if test else VOICES_TRAIN)
    return accent + ("+" + variant if variant else "")


def random_word(synthesiser, random, text, test):
    """A word of at most one second; faster speech is tried where it is longer."""
    speed = int(random.integers(115, 195))
    voice, pitch, spread = random_voice(random, test), int(random.integers(20, 80)), int(random.integers(20, 80))
    while True:
        wave = synthesiser.say(text, voice, speed, pitch, spread)
        if len(wave) <= CLIP - 800:
            return wave
        speed += 40
        if speed > 400:
            return wave[:CLIP]


def coloured_noise(random, length):
    """Unit variance; the spectrum falls with a random power of frequency, sometimes with a hum."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum *= (1 + np.arange(len(spectrum)) / 20.0) ** -random.uniform(0, 1.2)
    noise = np.fft.irfft(spectrum, length)
    if random.random() < 0.2:
        noise += 2 * noise.std() * np.sin(2 * np.pi * random.uniform(50, 400) * np.arange(length) / RATE)
    return (noise / noise.std()).astype(np.float32)


def stretched(random, wave, most):
    """Plays faster or slower by up to `most`, pitch and formants included: a vocal tract of another length."""
    length = min(int(len(wave) * random.uniform(1 - most, 1 + most)), CLIP)
    return np.interp(np.linspace(0, len(wave) - 1, length), np.arange(len(wave)), wave).astype(np.float32)


def clip_of(random, wave, snr, peak):
    """One second with `wave` (or None: silence) at a random place. snr, peak: (low, high) in dB of noise and gain."""
    clip = np.zeros(CLIP, np.float32)
    if wave is None:
        if random.random() < 0.1:
            return clip
        return coloured_noise(random, CLIP) * np.float32(10 ** (random.uniform(-80, -35) / 20))
    start = int(random.integers(0, CLIP - len(wave) + 1))
    clip[start:start + len(wave)] = wave * np.float32(10 ** (random.uniform(*peak) / 20) / np.abs(wave).max())
    power = float(np.mean(clip[start:start + len(wave)] ** 2))
    noise = coloured_noise(random, CLIP) * np.float32(np.sqrt(power / 10 ** (random.uniform(*snr) / 10)))
    clip = clip + noise
    return clip / max(1.0, float(np.abs(clip).max()))
