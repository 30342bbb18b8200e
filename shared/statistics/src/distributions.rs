//! Tails and quantiles of the distributions that tests ask for, over libm's lgamma and erfc. DLMF is the NIST
//! Digital Library of Mathematical Functions, <https://dlmf.nist.gov>.

use std::f64::consts::{PI, SQRT_2};

/// Below it a denominator of a continued fraction counts as 0.
const TINY: f64 = 1e-300;
/// More steps than any continued fraction or series here takes.
const STEPS: u32 = 10_000;
/// From here on Student's distribution is the normal one, transformed; the fraction loses digits to 1 − x.
const ALL_BUT_NORMAL: f64 = 1e6;

/// The z with P(|Z| > z) = `tail` for a standard normal Z; `tail` is in 0 to 1, both excluded. Newton's method on
/// the logarithm of the tail, which is concave, so that it converges from everywhere.
pub(crate) fn normal_quantile(tail: f64) -> f64 {
    concave_root(1.0, |z| {
        let seen = libm::erfc(z / SQRT_2);
        let density = (2.0 / PI).sqrt() * (-z * z / 2.0).exp();
        ((seen / tail).ln(), -z * density / seen)
    })
}

/// P(|T| > t) for Student's t with `freedom` > 0 degrees of freedom, which need not be whole: I_x(ν/2, 1/2) with
/// x = ν/(ν + t²), the regularised incomplete beta function (DLMF 8.17).
pub(crate) fn student_tail(t: f64, freedom: f64) -> f64 {
    let ratio = t * t / freedom;
    if freedom > ALL_BUT_NORMAL {
        // Wallace, Annals of Mathematical Statistics 30 (1959), 1121–1130: off by z⁴/48ν² of itself.
        return libm::erfc(((freedom - 0.5) * ratio.ln_1p() / 2.0).sqrt());
    }
    let half = freedom / 2.0;
    let (x, rest) = (1.0 / (1.0 + ratio), ratio / (1.0 + ratio));
    // x^(ν/2) (1 − x)^(1/2) / B(ν/2, 1/2)
    let front = (-half * ratio.ln_1p()).exp() * (rest / PI).sqrt() * gamma_ratio(half);
    // On its other side the fraction converges slowly, and I_x(a, b) = 1 − I_{1−x}(b, a).
    if x < (half + 1.0) / (half + 2.5) {
        front / half * beta_fraction(half, 0.5, x)
    } else {
        1.0 - front / 0.5 * beta_fraction(0.5, half, rest)
    }
}

/// The t with P(|T| > t) = `tail`; `tail` is in 0 to 1, both excluded.
pub(crate) fn student_quantile(tail: f64, freedom: f64) -> f64 {
    if freedom > ALL_BUT_NORMAL {
        let z = normal_quantile(tail);
        return (freedom * (z * z / (freedom - 0.5)).exp_m1()).sqrt();
    }
    let scale = gamma_ratio(freedom / 2.0) / (freedom * PI).sqrt();
    concave_root(normal_quantile(tail), |t| {
        let seen = student_tail(t, freedom);
        let density = 2.0 * scale * (-(freedom + 1.0) / 2.0 * (t * t / freedom).ln_1p()).exp();
        ((seen / tail).ln(), -t * density / seen)
    })
}

/// P(X > x) for chi-squared with `freedom` > 0 degrees of freedom: Q(ν/2, x/2), the regularised upper incomplete
/// gamma function, by the series of its complement (DLMF 8.7.1) or its continued fraction (DLMF 8.9.2), whichever
/// converges fast.
pub(crate) fn chi_squared_tail(x: f64, freedom: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (a, z) = (freedom / 2.0, x / 2.0);
    let front = (a * z.ln() - z - libm::lgamma(a)).exp();
    if z < a + 1.0 { 1.0 - front * gamma_series(a, z) } else { front * gamma_fraction(a, z) }
}

/// Where `function` of eᵘ is 0, u being found by Newton's method. `function` gives its value and its derivative
/// by u; it falls and is concave in u, so that from the second step on every step is towards the root.
fn concave_root(start: f64, function: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut at = start;
    for _ in 0..100 {
        let (value, slope) = function(at);
        // A step too far to the right would lose the tail to 0.
        let step = (-value / slope).clamp(-3.0, 1.0);
        at *= step.exp();
        if step.abs() < 1e-12 {
            break;
        }
    }
    at
}

/// Γ(a + 1/2) / Γ(a). Logarithms of large gammas leave few digits of their difference; then its asymptotic
/// series (DLMF 5.11.13), which at 100 is good for twelve digits.
fn gamma_ratio(a: f64) -> f64 {
    if a < 100.0 {
        return (libm::lgamma(a + 0.5) - libm::lgamma(a)).exp();
    }
    let r = 1.0 / a;
    a.sqrt() * (1.0 - r / 8.0 + r * r / 128.0 + 5.0 * r.powi(3) / 1024.0 - 21.0 * r.powi(4) / 32768.0)
}

/// The continued fraction of DLMF 8.17.22, for x < (a + 1)/(a + b + 2).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let term = |step: u32| {
        let m = f64::from(step / 2);
        match step % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        }
    };
    continued_fraction(1.0, |step| (term(step), 1.0)).recip()
}

/// Γ(a, z) / (z^a e^−z), the even part of DLMF 8.9.2: 1/(z+1−a − 1(1−a)/(z+3−a − 2(2−a)/(z+5−a − …))).
fn gamma_fraction(a: f64, z: f64) -> f64 {
    continued_fraction(z + 1.0 - a, |step| {
        let n = f64::from(step);
        (-n * (n - a), z + 2.0 * n + 1.0 - a)
    })
    .recip()
}

/// γ(a, z) / (z^a e^−z) by the series of DLMF 8.7.1: 1/a + z/(a(a+1)) + z²/(a(a+1)(a+2)) + …
fn gamma_series(a: f64, z: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    for step in 1..STEPS {
        term *= z / (a + f64::from(step));
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    sum
}

/// first + a₁/(b₁ + a₂/(b₂ + …)) with (aₙ, bₙ) = terms(n), by Lentz's method as Thompson and Barnett changed it
/// (*Journal of Computational Physics* 64 (1986), 490–509).
fn continued_fraction(first: f64, terms: impl Fn(u32) -> (f64, f64)) -> f64 {
    let not_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut whole = not_zero(first);
    let (mut above, mut below) = (whole, 0.0);
    for step in 1..STEPS {
        let (a, b) = terms(step);
        below = 1.0 / not_zero(b + a * below);
        above = not_zero(b + a / above);
        let factor = above * below;
        whole *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: &str, seen: f64, expected: f64) {
        assert!((seen / expected - 1.0).abs() < 1e-9, "{what}: {seen} instead of {expected}");
    }

    /// scipy 1.17.1, stats.norm.isf(tail / 2).
    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (tail, z) in [
            (0.999, 0.0012533144654325557),
            (0.5, 0.6744897501960817),
            (0.1, 1.6448536269514729),
            (0.05, 1.9599639845400545),
            (0.01, 2.575829303548901),
            (1e-8, 5.73072886823629),
            (1e-100, 21.30594006935153),
        ] {
            check(&format!("normal, {tail}"), normal_quantile(tail), z);
        }
    }

    /// mpmath 1.4.1 with 50 digits: betainc(v/2, 1/2, 0, v/(v + t²), regularized=True), from 99,999.5 degrees
    /// of freedom on the density integrated.
    #[test]
    fn tails_of_student_s_distribution() {
        for (t, freedom, tail) in [
            (0.001, 1.0, 0.9993633804398389),
            (1.0, 1.0, 0.5),
            (30.0, 1.0, 0.021212804811070848),
            (1.0, 2.5, 0.4040610272782735),
            (6.0, 2.5, 0.0152817298855229),
            (1.7, 7.0, 0.13292889678255526),
            (30.0, 7.0, 1.178846888073314e-08),
            (0.001, 30.0, 0.9992087357664851),
            (1.7, 30.0, 0.09947787558851688),
            (1.96, 30.0, 0.05934231289605048),
            (30.0, 30.0, 6.251791630608888e-24),
            // Both sides of the series for large gammas.
            (1.7, 199.5, 0.09068937477994173),
            (1.96, 199.5, 0.05138832859594732),
            (1.7, 200.5, 0.09068160362648767),
            (1.96, 200.5, 0.05138137052217021),
            (30.0, 200.5, 4.5825026750751046e-76),
            (6.0, 1000.0, 2.755369173377469e-09),
            (1.0, 99_999.5, 0.31731292757620855),
            (1.7, 99_999.5, 0.08913403526421164),
            // Both sides of what is all but normal.
            (1.7, 999_999.0, 0.08913123649065974),
            (6.0, 999_999.0, 1.9738498130290568e-09),
            (1.7, 1_000_001.0, 0.08913123649003779),
            (6.0, 1_000_001.0, 1.973849811679814e-09),
            (1.96, 1e9, 0.0499957905737296),
        ] {
            check(&format!("Student {freedom}, {t}"), student_tail(t, freedom), tail);
            assert_eq!(student_tail(-t, freedom), student_tail(t, freedom));
        }
        assert_eq!((student_tail(0.0, 3.0), student_tail(0.0, 1e8)), (1.0, 1.0));
    }

    /// scipy 1.17.1, stats.t.isf(tail / 2, freedom).
    #[test]
    fn quantiles_of_student_s_distribution() {
        for (tail, freedom, t) in [
            (0.9, 1.0, 0.15838444032453633),
            (0.05, 1.0, 12.706204736174705),
            (1e-8, 1.0, 63661977.23675813),
            (0.9, 2.5, 0.13881476791946945),
            (0.05, 2.5, 3.5746548420036834),
            (1e-8, 2.5, 1833.0971787275287),
            (0.1, 7.0, 1.8945786050900066),
            (0.01, 7.0, 3.4994832973504932),
            (0.05, 30.0, 2.042272456301238),
            (0.05, 199.5, 1.971926307901525),
            (0.01, 1000.0, 2.580754698065951),
            (1e-8, 1000.0, 5.779568004003751),
            (0.05, 99_999.5, 1.9599877076532268),
            (0.05, 2e7, 1.9599641031536226),
            (0.01, 2e7, 2.5758295493763033),
        ] {
            check(&format!("Student {freedom}, {tail}"), student_quantile(tail, freedom), t);
        }
    }

    /// mpmath 1.4.1 with 50 digits, gammainc(v/2, x/2, inf, regularized=True).
    #[test]
    fn tails_of_chi_squared() {
        for (x, freedom, tail) in [
            (0.001, 1.0, 0.9747728793699604),
            (1.0, 1.0, 0.3173105078629141),
            (4.0, 1.0, 0.04550026389635842),
            (10.0, 1.0, 0.0015654022580025497),
            (2.0, 2.0, 0.36787944117144233),
            (20.0, 2.0, 4.5399929762484854e-05),
            (1.5, 3.0, 0.6822703303362125),
            (30.0, 3.0, 1.3800570312932547e-06),
            (7.0, 7.0, 0.42887985755305474),
            (10.0, 7.0, 0.18857346751345008),
            (70.0, 7.0, 1.4774294932825123e-12),
            (33.0, 30.0, 0.3225420969345649),
            (300.0, 30.0, 2.648048485630878e-46),
            (100.0, 200.0, 0.9999999996799934),
            (203.0, 200.0, 0.42757305368346665),
            (2000.0, 200.0, 6.035827529631278e-294),
        ] {
            check(&format!("chi-squared {freedom}, {x}"), chi_squared_tail(x, freedom), tail);
        }
        assert_eq!(chi_squared_tail(0.0, 4.0), 1.0);
    }
}
