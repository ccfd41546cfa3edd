//! Words that carry grammar and no topic, for the languages whose texts are met most.

use std::collections::BTreeSet;
use std::sync::LazyLock;

const ENGLISH: &str = " a about above after again against all also although always am among an and any anyone anything are around as \
    at be became because been before being below between both but by can cannot could did do does doing done down during each \
    either else ever every everyone everything few for from further get gets getting give given go goes going got had has have \
    having he hence her here hers herself him himself his how however i if in indeed instead into is it its itself just keep kept \
    know known least less let like likely made make makes many may me might mine more most mostly much must my myself neither \
    never nevertheless no nobody none nor not nothing now of off often on once one only onto or other others otherwise our ours \
    ourselves out over own per perhaps quite rather really same see seem seemed seems several shall she should since so some \
    someone something sometimes still such take taken than that the their theirs them themselves then there therefore these they \
    thing things this those though through throughout thus to together too toward towards two under unless until up upon us use \
    used uses using very via was we well were what whatever when where whereas whether which while who whole whom whose why will \
    with within without would yet you your yours yourself yourselves don't doesn't didn't isn't aren't wasn't weren't won't \
    can't couldn't shouldn't wouldn't it's that's there's i'm you're we're they're i've we've he's she's ";

const GERMAN: &str = " ab aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus bei \
    beim bereits bin bis bist da dabei dadurch dafür dagegen daher damit danach dann daran darauf daraus darf darin darüber das \
    dass davon davor dazu dein deine dem den denn der deren des dessen deshalb dich die dies diese diesem diesen dieser dieses dir \
    doch dort du durch ein eine einem einen einer eines einige einmal er es etwa etwas euch euer für gegen gibt hab habe haben \
    hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in indem ins ist ja jede jedem jeden \
    jeder jedes jedoch jene kann kein keine keinem keinen keiner können könnte machen man manche mehr mein meine mich mir mit \
    muss müssen nach nachdem nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit selbst sich sie \
    sind so sobald solche soll sollen sollte sondern sonst sowie über um und uns unser unsere unter viel viele vom von vor während \
    war waren warum was weil weiter welche welchem welchen welcher wenig wenn wer werde werden weil wie wieder will wir wird wo \
    wollen worden wurde wurden zu zum zur zwar zwischen ";

const FRENCH: &str = " à afin ai ainsi alors après as au aucun aucune aussi autre autres aux avait avant avec avez avoir avons c'est car ce \
    cela celle celles celui ces cet cette ceux chaque chez comme comment contre d'un d'une dans de depuis des dont donc du elle \
    elles en encore entre es est et étaient était été être eu eux fait faire fois font ici il ils j'ai je jusque l'un la le les \
    leur leurs lors lorsque lui ma mais me même mêmes mes moi moins mon n'est ne ni non nos notre nous on ont ou où par parce pas \
    pendant peu peut peuvent plus plusieurs pour pourquoi qu'il qu'elle quand que quel quelle quelles quels qui quoi sa sans se \
    selon sera ses si soit son sont sous souvent sur ta te tel telle tes toi ton tous tout toute toutes très trop tu un une vers \
    voici voilà vos votre vous y ";

const SPANISH: &str = " a al algo algunas algunos ante antes aquel aquella así aún aunque bien cada como cómo con contra cual cuales cuando \
    cuándo de del desde donde dónde dos durante e el él ella ellas ellos en entre era eran es esa esas ese eso esos esta está \
    están estar estas este esto estos fue fueron ha había habían hace hacer hacia han hasta hay la las le les lo los más me mi mis \
    mientras misma mismo mucha muchas mucho muchos muy nada ni no nos nosotros nuestra nuestro o os otra otras otro otros para \
    pero poco por porque pues puede pueden que qué quien quién se sea según ser si sí sido sin sino sobre son su sus también tan \
    tanto te tener tengo ti tiene tienen toda todas todo todos tras tu tus un una unas uno unos usted ustedes ya yo ";

/// Letters of a word up to which it counts as one of grammar in a language without a list.
const SHORT_LETTERS_MAX: usize = 3;

/// Tells whether a word, in small letters, carries grammar and no topic.
pub(crate) fn contains(language: Option<&str>, word: &str) -> bool {
    let list = match language {
        Some("eng") => &LISTS.english,
        Some("deu") => &LISTS.german,
        Some("fra") => &LISTS.french,
        Some("spa") => &LISTS.spanish,
        _ => return word.is_ascii() && word.len() <= SHORT_LETTERS_MAX,
    };
    list.contains(word) || (word.contains('’') && list.contains(word.replace('’', "'").as_str()))
}

struct Lists {
    english: BTreeSet<&'static str>,
    german: BTreeSet<&'static str>,
    french: BTreeSet<&'static str>,
    spanish: BTreeSet<&'static str>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let list = |words: &'static str| words.split_ascii_whitespace().collect();
    Lists {
        english: list(ENGLISH),
        german: list(GERMAN),
        french: list(FRENCH),
        spanish: list(SPANISH),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_grammar_are_known_in_their_language() {
        assert!(
            contains(Some("eng"), "the")
                && contains(Some("eng"), "don’t")
                && !contains(Some("eng"), "der")
        );
        assert!(
            contains(Some("deu"), "der")
                && contains(Some("fra"), "été")
                && contains(Some("spa"), "más")
        );
        assert!(
            contains(None, "och") && !contains(None, "kettle") && !contains(Some("eng"), "kettle")
        );
    }
}
